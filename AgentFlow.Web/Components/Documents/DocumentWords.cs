using AgentFlow.Contracts.Documents;
using Microsoft.Extensions.Localization;

namespace AgentFlow.Web.Components.Documents;

/// <summary>What a document is, and how far its processing is, in words.</summary>
internal static class DocumentWords
{
    private const string Between = " · ";

    /// <summary>"12 kB · 3 pages · 40 passages"; what is not known is left out.</summary>
    public static string Facts(this IStringLocalizer texts, DocumentSummary document) => string.Join(Between, new[]
    {
        Size(document.Size),
        document.Pages switch { null => null, 1 => texts["1 page"].Value, { } pages => texts["{0} pages", pages].Value },
        document.Chunks switch { 0 => null, 1 => texts["1 passage"].Value, var chunks => texts["{0} passages", chunks].Value },
    }.OfType<string>());

    /// <summary>"45 % · 120 passages so far": the share of the file that the present step has done, and what came of it. Empty at the very start.</summary>
    public static string Progress(this IStringLocalizer texts, DocumentSummary document) => string.Join(Between, new[]
    {
        document.Progress > 0 ? texts["{0} %", Math.Round(100 * document.Progress)].Value : null,
        document.ChunksSoFar switch { null or 0 => null, 1 => texts["1 passage so far"].Value, { } chunks => texts["{0} passages so far", chunks].Value },
    }.OfType<string>());

    private static string Size(long bytes) => bytes switch
    {
        < 1_000 => $"{bytes} B",
        < 1_000_000 => $"{bytes / 1e3:0} kB",
        _ => $"{bytes / 1e6:0.0} MB",
    };
}
