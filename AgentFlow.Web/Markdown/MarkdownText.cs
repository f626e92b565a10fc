using Markdig;
using Markdig.Syntax;

namespace AgentFlow.Web.Markdown;

/// <summary>
/// Parses what models, documents and people wrote. Raw HTML is not recognised, so it stays text; reference definitions are not resolved by the
/// renderer, so a link is only what can be seen in its place. The result is drawn by <see cref="MarkdownBlock"/> from an allow-list of nodes.
/// </summary>
internal static class MarkdownText
{
    private static readonly MarkdownPipeline Pipeline = new MarkdownPipelineBuilder()
        .DisableHtml()
        .UsePipeTables()
        .UseEmphasisExtras(Markdig.Extensions.EmphasisExtras.EmphasisExtraOptions.Strikethrough)
        .UseTaskLists()
        .UseAutoLinks()
        .UsePreciseSourceLocation()
        .Build();

    /// <summary>The document, or null for text that nests deeper than the parser's limit: it is then shown as it is.</summary>
    public static MarkdownDocument? Parse(string text)
    {
        try
        {
            return Markdig.Markdown.Parse(text, Pipeline);
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    /// <summary>The part of the text that a block was read from: equal slices are drawn once.</summary>
    public static string Slice(string text, Block block)
    {
        var start = Math.Clamp(block.Span.Start, 0, text.Length);
        var end = Math.Clamp(block.Span.End + 1, start, text.Length);
        return text[start..end];
    }
}
