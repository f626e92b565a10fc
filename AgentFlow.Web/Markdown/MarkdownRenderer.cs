using AgentFlow.Contracts.Runs;
using Markdig.Extensions.Tables;
using Markdig.Extensions.TaskLists;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Rendering;
using Microsoft.Extensions.Localization;

#pragma warning disable ASP0006, MA0123 // The frames follow a parsed text, not source code: numbers that count up keep what has been drawn in place.
namespace AgentFlow.Web.Markdown;

/// <summary>
/// Draws parsed markdown as elements. Nothing becomes markup from a string: the only elements and attributes that can come out are those written
/// here, and every text is a text node. What is not known is shown as its text. Sequence numbers count up, so a growing text only appends.
/// </summary>
internal sealed class MarkdownRenderer(
    RenderTreeBuilder builder, IStringLocalizer texts, IReadOnlyList<Citation> citations, LinkPolicy links, Func<Citation, EventCallback> onChip)
{
    /// <summary>Text is sent in pieces of this many characters: what is complete is not sent again when more comes.</summary>
    private const int PieceLength = 160;

    private int _sequence;

    public void Write(Block block)
    {
        switch (block)
        {
            case HeadingBlock heading:
                // The page itself has the first level; a text's headings go below it.
                Element("h" + Math.Min(heading.Level + 2, 6), null, () => Inlines(heading.Inline));
                break;
            case ParagraphBlock paragraph:
                Element("p", null, () => Inlines(paragraph.Inline));
                break;
            case QuoteBlock quote:
                Element("blockquote", null, () => Children(quote));
                break;
            case ListBlock list:
                WriteList(list);
                break;
            case Table table:
                WriteTable(table);
                break;
            case CodeBlock code:
                WriteCode(code);
                break;
            case ThematicBreakBlock:
                Element("hr", null, static () => { });
                break;
            case LinkReferenceDefinitionGroup:
                break;
            case ContainerBlock container:
                Children(container);
                break;
            case LeafBlock leaf:
                Element("p", null, () =>
                {
                    if (leaf.Inline is null)
                        Text(leaf.Lines.ToString());
                    else
                        Inlines(leaf.Inline);
                });
                break;
        }
    }

    private void Children(ContainerBlock container)
    {
        foreach (var child in container)
            Write(child);
    }

    private void WriteList(ListBlock list) => Element(list.IsOrdered ? "ol" : "ul", null, () =>
    {
        foreach (var item in list.OfType<ListItemBlock>())
        {
            Element("li", item is [ParagraphBlock { Inline.FirstChild: TaskList }, ..] ? "task" : null, () =>
            {
                foreach (var child in item)
                {
                    if (child is ParagraphBlock paragraph && !list.IsLoose)
                        Inlines(paragraph.Inline);
                    else
                        Write(child);
                }
            });
        }
    }, () =>
    {
        if (list.IsOrdered && int.TryParse(list.OrderedStart, out var start) && start != 1)
            builder.AddAttribute(_sequence++, "start", start.ToString());
    });

    private static string? Alignment(Table table, int column) => column < table.ColumnDefinitions.Count
        ? table.ColumnDefinitions[column].Alignment switch { TableColumnAlign.Right => "align-end", TableColumnAlign.Center => "align-center", _ => null }
        : null;

    private void WriteTable(Table table) => Element("div", "table-scroll", () => Element("table", null, () =>
    {
        foreach (var row in table.OfType<TableRow>())
        {
            Element("tr", null, () =>
            {
                foreach (var (column, cell) in row.OfType<TableCell>().Index())
                {
                    Element(row.IsHeader ? "th" : "td", Alignment(table, column), () =>
                    {
                        foreach (var child in cell)
                        {
                            if (child is ParagraphBlock paragraph)
                                Inlines(paragraph.Inline);
                            else
                                Write(child);
                        }
                    });
                }
            });
        }
    }));

    private void WriteCode(CodeBlock code)
    {
        var language = (code as FencedCodeBlock)?.Info is { Length: > 0 and <= 40 } info ? info : null;
        var text = code.Lines.ToString();
        Element("div", "code", () =>
        {
            Element("div", "code-head", () =>
            {
                Element("span", null, () => Text(language ?? texts["text"]));
                Button("link-button", "data-wrap", texts["Wrap"]);
                Button("link-button", "data-copy-code", texts["Copy"]);
            });
            Element("pre", null, () => Element("code", null, () =>
            {
                foreach (var (part, kind) in CodeHighlighter.Split(text, language))
                {
                    if (kind is null)
                        Text(part);
                    else
                        Element("span", kind, () => Text(part));
                }
            }));
        });
    }

    private void Inlines(ContainerInline? container)
    {
        if (container is null)
            return;
        var text = new System.Text.StringBuilder();
        foreach (var inline in container)
            Inline(inline, text);
        Flush(text);
    }

    private void Inline(Inline inline, System.Text.StringBuilder text)
    {
        switch (inline)
        {
            case LiteralInline literal:
                text.Append(literal.Content.AsSpan());
                break;
            case HtmlEntityInline entity:
                text.Append(entity.Transcoded.AsSpan());
                break;
            case LineBreakInline { IsHard: false }:
                text.Append('\n');
                break;
            case LineBreakInline:
                Flush(text);
                Element("br", null, static () => { });
                break;
            case CodeInline code:
                Flush(text);
                Element("code", null, () => Text(code.Content));
                break;
            case EmphasisInline emphasis:
                Flush(text);
                Element(emphasis switch { { DelimiterChar: '~' } => "del", { DelimiterCount: >= 2 } => "strong", _ => "em" }, null, () => Inlines(emphasis));
                break;
            case LinkInline link:
                Flush(text);
                WriteLink(link);
                break;
            case AutolinkInline auto:
                Flush(text);
                WriteAddress(auto.IsEmail ? "mailto:" + auto.Url : auto.Url, auto.Url);
                break;
            case TaskList task:
                Flush(text);
                WriteCheckbox(task.Checked);
                break;
            case DelimiterInline delimiter:
                text.Append(delimiter.ToLiteral());
                foreach (var child in delimiter)
                    Inline(child, text);
                break;
            case ContainerInline container:
                foreach (var child in container)
                    Inline(child, text);
                break;
            default:
                text.Append(inline.ToString());
                break;
        }
    }

    /// <summary>Pictures are never loaded: their description and address are text. Links lead where the reader can see.</summary>
    private void WriteLink(LinkInline link)
    {
        if (link.IsImage)
        {
            Text($"[{texts["picture"]}: ");
            Inlines(link);
            Text(link.Url is { Length: > 0 } source ? $"] ({Shorten(source)})" : "]");
        }
        else if (link.Reference is not null || !links.Allows(link.Url, out var target))
        {
            Inlines(link);
            var shown = link.FirstChild is LiteralInline only && only.NextSibling is null && only.Content.AsSpan().SequenceEqual(link.Url);
            if (!shown && link.Url is { Length: > 0 } address)
                Element("span", "inert-link", () => Text($" ({Shorten(address)})"));
        }
        else
        {
            Element("a", null, () => Inlines(link), () => LinkAttributes(target));
        }
    }

    private void WriteAddress(string address, string shown)
    {
        if (links.Allows(address, out var target))
            Element("a", null, () => Text(shown), () => LinkAttributes(target));
        else
            Text(shown);
    }

    private void LinkAttributes(string target)
    {
        builder.AddAttribute(_sequence++, "href", target);
        builder.AddAttribute(_sequence++, "rel", "noopener noreferrer nofollow");
        builder.AddAttribute(_sequence++, "target", "_blank");
        builder.AddAttribute(_sequence++, "title", target);
    }

    private void WriteCheckbox(bool isChecked) => Element("input", null, static () => { }, () =>
    {
        builder.AddAttribute(_sequence++, "type", "checkbox");
        builder.AddAttribute(_sequence++, "disabled", true);
        builder.AddAttribute(_sequence++, "checked", isChecked);
        builder.AddAttribute(_sequence++, "aria-label", isChecked ? texts["done"].Value : texts["open"].Value);
    });

    /// <summary>Text with the markers of known citations, such as <c>[2]</c>, turned into chips.</summary>
    private void Flush(System.Text.StringBuilder collected)
    {
        if (collected.Length == 0)
            return;
        var text = collected.ToString();
        collected.Clear();
        var from = 0;
        foreach (var (at, length, index) in CitationMarkers.Find(text))
        {
            if (citations.FirstOrDefault(citation => citation.Index == index) is not { } citation)
                continue;
            Text(text[from..at]);
            Chip(citation);
            from = at + length;
        }

        Text(text[from..]);
    }

    private void Chip(Citation citation) => Element("button", "chip", () => Text(citation.Index.ToString()), () =>
    {
        builder.AddAttribute(_sequence++, "type", "button");
        builder.AddAttribute(_sequence++, "title", Shorten(citation.Quote, 300));
        builder.AddAttribute(_sequence++, "aria-label", texts["Source {0}: {1}", citation.Index, citation.DocumentName ?? texts["Selected text"]].Value);
        builder.AddAttribute(_sequence++, "data-testid", "citation-chip");
        builder.AddAttribute(_sequence++, "onclick", onChip(citation));
    });

    private void Button(string css, string marker, string text) => Element("button", css, () => Text(text), () =>
    {
        builder.AddAttribute(_sequence++, "type", "button");
        builder.AddAttribute(_sequence++, marker, true);
    });

    private void Text(string text)
    {
        for (var at = 0; at < text.Length;)
        {
            var length = Math.Min(PieceLength, text.Length - at);
            if (at + length < text.Length && char.IsHighSurrogate(text[at + length - 1]))
                length--;
            builder.AddContent(_sequence++, text.Substring(at, length));
            at += length;
        }
    }

    private void Element(string name, string? css, Action content, Action? attributes = null)
    {
        builder.OpenElement(_sequence++, name);
        if (css is not null)
            builder.AddAttribute(_sequence++, "class", css);
        attributes?.Invoke();
        content();
        builder.CloseElement();
    }

    private static string Shorten(string text, int length = 120) => text.Length <= length ? text : text[..length] + "…";
}
