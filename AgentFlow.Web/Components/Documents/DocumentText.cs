using AgentFlow.Contracts.Documents;

namespace AgentFlow.Web.Components.Documents;

/// <summary>
/// A document's stored text put together from its chunks, which carry exact offsets and may overlap. What no chunk covers (blank lines between
/// paragraphs) becomes white space, so every offset stays where it is. Pure.
/// </summary>
internal static class DocumentText
{
    public static string From(IReadOnlyList<DocumentChunk> chunks)
    {
        if (chunks.Count == 0)
            return "";
        var text = new char[chunks.Max(chunk => chunk.End)];
        Array.Fill(text, ' ');
        var end = 0;
        foreach (var chunk in chunks.OrderBy(chunk => chunk.Start))
        {
            if (chunk.Start > end)
                text.AsSpan(end, Math.Min(2, chunk.Start - end)).Fill('\n');
            var length = Math.Min(chunk.Text.Length, chunk.End - chunk.Start);
            chunk.Text.AsSpan(0, length).CopyTo(text.AsSpan(chunk.Start));
            end = Math.Max(end, chunk.Start + length);
        }

        return new string(text);
    }

    /// <summary>The text before, in and after a range that may lie partly outside of it.</summary>
    public static (string Before, string Inside, string After) Split(string text, int start, int end)
    {
        start = Math.Clamp(start, 0, text.Length);
        end = Math.Clamp(end, start, text.Length);
        return (text[..start], text[start..end], text[end..]);
    }
}
