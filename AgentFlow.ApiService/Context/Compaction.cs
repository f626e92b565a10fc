using System.Text;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts.Chat;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.ApiService.Context;

/// <summary>
/// Summarises old turns without a model: the first sentence of each, newest kept longest when room is short, with a word on what was
/// left out. Pure.
/// </summary>
internal static class Compaction
{
    private const int MaxSentence = 200;

    public static string Summarise(IReadOnlyList<PastTurn> turns, int tokens)
    {
        var lines = new List<string>();
        var left = tokens;
        var i = turns.Count - 1;
        for (; i >= 0; i--)
        {
            var about = turns[i].SelectedText is { } selected ? $", about a selected text (\"{FirstSentence(selected)}\")" : "";
            var line = $"- {(turns[i].Role == ChatRole.User ? "The user" : "You")}{about}: {FirstSentence(turns[i].Content)}";
            var cost = TokenEstimate.Of(line) + 1;
            if (cost > left)
                break;
            left -= cost;
            lines.Add(line);
        }

        lines.Reverse();
        var text = new StringBuilder();
        if (i >= 0)
            text.Append("- (").Append(i + 1).Append(" older messages are not repeated here)\n");
        return text.AppendJoin('\n', lines).ToString();
    }

    private static string FirstSentence(string content)
    {
        var head = content.Length > MaxSentence * 4 ? content[..(MaxSentence * 4)] : content;
        var sentences = SentenceSplitter.Split(head);
        var first = sentences.Count == 0 ? head : head[sentences[0].Start..sentences[0].End];
        return first.Length > MaxSentence ? first[..MaxSentence] + "…" : first;
    }
}
