using System.Text;
using AgentFlow.ServiceDefaults.Http;
using AngleSharp.Html.Parser;

namespace AgentFlow.ApiService.Tools.BuiltIn;

/// <summary>The readable text of a fetched page. Nothing is executed or loaded.</summary>
internal static class FetchedText
{
    public static string Of(Fetched page)
    {
        var text = Encoding.UTF8.GetString(page.Content);
        if (page.MediaType is null or "text/html" or "application/xhtml+xml")
            return OfHtml(text);
        return page.MediaType.StartsWith("text/", StringComparison.Ordinal) || page.MediaType is "application/json" or "application/xml"
            ? text
            : throw new ToolException(ToolCodes.InvalidArguments, "The address holds no text that can be read here.", recoverable: true);
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
