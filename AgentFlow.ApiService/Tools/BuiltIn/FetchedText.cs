using System.Text;
using AgentFlow.ApiService.Documents.Extraction;
using AgentFlow.ServiceDefaults.Http;
using AngleSharp.Html.Parser;

namespace AgentFlow.ApiService.Tools.BuiltIn;

/// <summary>The readable text of a fetched page. Nothing is executed or loaded.</summary>
internal static class FetchedText
{
    public static string Of(Fetched page)
    {
        var text = Decoded(page);
        if (page.MediaType is null or "text/html" or "application/xhtml+xml")
            return OfHtml(text);
        return page.MediaType.StartsWith("text/", StringComparison.Ordinal) || page.MediaType is "application/json" or "application/xml"
            ? text
            : throw new ToolException(ToolCodes.InvalidArguments, "The address holds no text that can be read here.", recoverable: true);
    }

    /// <summary>What can't be decoded for certain is read as UTF-8, with a sign for each byte that is none: a model makes more of that than of nothing.</summary>
    private static string Decoded(Fetched page)
    {
        var detector = new EncodingDetector(page.Charset ?? string.Empty);
        detector.Append(page.Content);
        try
        {
            var (encoding, mark) = detector.Finish();
            return encoding.GetString(page.Content, mark, page.Content.Length - mark);
        }
        catch (Exception error) when (error is ExtractionFailedException or DecoderFallbackException)
        {
            return Encoding.UTF8.GetString(page.Content);
        }
    }

    private static string OfHtml(string html)
    {
        using var document = new HtmlParser().ParseDocument(html);
        foreach (var element in document.QuerySelectorAll("script, style, noscript, template, nav, header, footer, svg").ToList())
            element.Remove();
        var lines = (document.Body?.TextContent ?? "").Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return string.Join('\n', lines);
    }
}
