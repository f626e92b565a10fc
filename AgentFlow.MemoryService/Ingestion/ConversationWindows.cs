using System.Text;
using AgentFlow.Contracts.Memories;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>Cuts a conversation into pieces that fit a model's window: between messages where possible, between sentences where not. Nothing is lost. Pure.</summary>
internal static class ConversationWindows
{
    /// <param name="maxLength">Characters of one window.</param>
    internal static IReadOnlyList<string> Cut(IReadOnlyList<MemoryMessage> messages, int maxLength)
    {
        var windows = new List<string>();
        var window = new StringBuilder();
        foreach (var line in messages.SelectMany(message => Lines(message, maxLength)))
        {
            if (window.Length > 0 && window.Length + line.Length + 1 > maxLength)
            {
                windows.Add(window.ToString());
                window.Clear();
            }

            window.Append(line).Append('\n');
        }

        if (window.Length > 0)
            windows.Add(window.ToString());
        return windows;
    }

    private static IEnumerable<string> Lines(MemoryMessage message, int maxLength)
    {
        var speaker = message.Name is { } name ? $"{message.Role} ({name}): " : $"{message.Role}: ";
        var room = Math.Max(200, maxLength - speaker.Length - 1);
        if (message.Content.Length <= room)
            return [speaker + message.Content];
        return Pieces(message.Content, room).Select(piece => speaker + piece);
    }

    private static IEnumerable<string> Pieces(string text, int room)
    {
        var start = 0;
        var end = 0;
        foreach (var sentence in SentenceSplitter.Split(text))
        {
            if (sentence.End - start > room && end > start)
            {
                yield return text[start..end];
                start = end;
            }

            while (sentence.End - start > room)
            {
                var cut = CutInside(text, start, room);
                yield return text[start..cut];
                start = cut;
            }

            end = sentence.End;
        }

        if (start < text.Length)
            yield return text[start..];
    }

    /// <summary>A sentence that is longer than a whole window is cut between words, and a word that is, anywhere but inside a surrogate pair.</summary>
    private static int CutInside(string text, int start, int room)
    {
        var space = text.LastIndexOf(' ', start + room, room);
        if (space > start)
            return space + 1;
        return char.IsLowSurrogate(text[start + room]) ? start + room - 1 : start + room;
    }
}
