using System.Text;
using AngleSharp;
using AngleSharp.Dom;
using AngleSharp.Html.Parser;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>A web page's words with its headings, paragraphs, lists, tables and code; nothing is fetched or run.</summary>
internal static class HtmlReader
{
    private static readonly HashSet<string> Skipped = new(StringComparer.Ordinal)
    {
        "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed", "canvas", "audio", "video", "select", "button", "input", "textarea", "head",
    };

    private static readonly HashSet<string> Blocks = new(StringComparer.Ordinal)
    {
        "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer",
        "form", "header", "hr", "html", "legend", "li", "main", "nav", "ol", "p", "section", "summary", "table", "ul", "tr", "caption", "tbody", "thead", "tfoot",
    };

    /// <summary>Deeper nesting than any page needs would only serve to exhaust the stack.</summary>
    private const int MaxDepth = 400;

    /// <param name="fetchedAs">See <see cref="EncodingDetector"/>.</param>
    public static void Read(Stream content, BlockWriter writer, string? fetchedAs = null)
    {
        using var text = DecodedText.Open(content, fetchedAs: fetchedAs);
        using var document = new HtmlParser(new HtmlParserOptions { IsScripting = false, IsEmbedded = false }, BrowsingContext.New(Configuration.Default)).ParseDocument(text.ReadToEnd());
        if (document.Body is { } body)
        {
            var run = new StringBuilder();
            Walk(body, writer, run, isListItem: false, depth: 0);
            Flush(writer, run, isListItem: false);
        }

        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in (string[])["author", "description", "keywords", "date"])
        {
            var value = document.QuerySelector($"meta[name='{name}' i]")?.GetAttribute("content");
            if (!string.IsNullOrWhiteSpace(value))
                metadata[name] = value.Length > 500 ? value[..500] : value;
        }

        if (document.DocumentElement?.GetAttribute("lang") is { Length: > 0 and <= 35 } language)
            metadata["language"] = language;
        writer.Finish(new DocumentInfo(document.Title, Metadata: metadata));
    }

    private static void Walk(INode node, BlockWriter writer, StringBuilder run, bool isListItem, int depth)
    {
        if (depth > MaxDepth)
            throw new ExtractionFailedException($"Its elements are nested more than {MaxDepth} deep.");
        foreach (var child in node.ChildNodes)
        {
            if (child is IText text)
                run.Append(text.Data);
            else if (child is IElement element && !Skipped.Contains(element.LocalName) && !element.HasAttribute("hidden"))
                WalkElement(element, writer, run, isListItem, depth);
        }
    }

    private static void WalkElement(IElement element, BlockWriter writer, StringBuilder run, bool isListItem, int depth)
    {
        switch (element.LocalName)
        {
            case "h1" or "h2" or "h3" or "h4" or "h5" or "h6":
                Flush(writer, run, isListItem);
                writer.Heading(element.LocalName[1] - '0', element.TextContent);
                break;
            case "pre":
                Flush(writer, run, isListItem);
                writer.Code(element.TextContent);
                break;
            case "br":
                run.Append(' ');
                break;
            case "tr" when element.QuerySelector("table") is null:
                Flush(writer, run, isListItem);
                writer.TableRow(element.Children.Where(cell => cell.LocalName is "td" or "th").Select(cell => cell.TextContent));
                break;
            case var name when Blocks.Contains(name):
                Flush(writer, run, isListItem);
                Walk(element, writer, run, name == "li", depth + 1);
                Flush(writer, run, name == "li");
                break;
            default:
                Walk(element, writer, run, isListItem, depth + 1);
                break;
        }
    }

    private static void Flush(BlockWriter writer, StringBuilder run, bool isListItem)
    {
        if (run.Length == 0)
            return;
        if (isListItem)
            writer.ListItem(run.ToString());
        else
            writer.Paragraph(run.ToString());
        run.Clear();
    }
}
