using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using AgentFlow.Web.Markdown;
using AngleSharp.Html.Parser;

namespace AgentFlow.Tests.Web.Markdown;

public sealed class MarkdownViewTests
{
    private static readonly HashSet<string> Elements = new(StringComparer.Ordinal)
    {
        "p", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li", "table", "tbody", "tr", "th", "td", "div", "span", "pre", "code", "hr", "br", "em", "strong", "del", "a", "button", "input",
    };

    private static readonly HashSet<string> Attributes = new(StringComparer.Ordinal)
    {
        "class", "title", "href", "rel", "target", "type", "disabled", "checked", "aria-label", "start", "data-testid", "data-copy-code", "data-wrap",
    };

    [Fact]
    public async Task Hostile_texts_come_out_inert()
    {
        Assert.True(HostilePayloads.All.Count >= 150);
        var parser = new HtmlParser();
        foreach (var payload in HostilePayloads.All)
        {
            var html = await Rendered.HtmlAsync(payload);
            var body = parser.ParseDocument("<body>" + html + "</body>").Body!;
            foreach (var element in body.QuerySelectorAll("*"))
            {
                Assert.True(Elements.Contains(element.LocalName), $"{payload}\nmade <{element.LocalName}>: {html}");
                foreach (var attribute in element.Attributes)
                    Assert.True(Attributes.Contains(attribute.Name), $"{payload}\nmade {attribute.Name}: {html}");
                Assert.False(element.HasAttribute("href"), $"{payload}\nmade a link: {html}");
            }
        }
    }

    [Theory]
    [InlineData("a **b** _c_ ~~d~~ `e`", "<p>a <strong>b</strong> <em>c</em> <del>d</del> <code>e</code></p>")]
    [InlineData("# Title", "<h3>Title</h3>")]
    [InlineData("###### Deep", "<h6>Deep</h6>")]
    [InlineData("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>")]
    [InlineData("3. a", "<ol start=\"3\"><li>a</li></ol>")]
    [InlineData("- [x] a\n- b", "<ul><li class=\"task\"><input type=\"checkbox\" disabled checked aria-label=\"done\" /> a</li><li>b</li></ul>")]
    [InlineData("> a", "<blockquote><p>a</p></blockquote>")]
    [InlineData("a\nb", "<p>a&#xA;b</p>")]
    [InlineData("a  \nb", "<p>a<br>b</p>")]
    [InlineData("5 < 6 & <b>7</b>", "<p>5 &lt; 6 &amp; &lt;b&gt;7&lt;/b&gt;</p>")]
    [InlineData("$x^2 + y_1$", "<p>$x^2 &#x2B; y_1$</p>")]
    [InlineData("[not a citation] [9]", "<p>[not a citation] [9]</p>")]
    public async Task Markdown_is_drawn(string text, string html) => Assert.Equal(html, (await Rendered.HtmlAsync(text)).Replace("<br />", "<br>", StringComparison.Ordinal));

    [Fact]
    public async Task Only_known_markers_become_chips()
    {
        var citation = new Citation { Index = 2, DocumentId = DocumentId.New(), DocumentName = "bees.md", Start = 3, End = 9, Quote = "a \"quote\"" };
        var html = await Rendered.HtmlAsync("Bees dance [2], not [3].", [citation]);
        Assert.Contains("data-testid=\"citation-chip\"", html, StringComparison.Ordinal);
        Assert.Contains("aria-label=\"Source 2: bees.md\"", html, StringComparison.Ordinal);
        Assert.Contains(", not [3].", html, StringComparison.Ordinal);
        Assert.Single(new HtmlParser().ParseDocument(html).QuerySelectorAll("button"));
    }

    [Fact]
    public async Task Links_lead_only_to_hosts_of_the_conversation()
    {
        var links = LinkPolicy.From(["See https://docs.example/start, please."]);
        Assert.Contains("href=\"https://docs.example/a\"", await Rendered.HtmlAsync("[a](https://docs.example/a)", links: links), StringComparison.Ordinal);
        Assert.Contains("href=\"mailto:a@docs.example\"", await Rendered.HtmlAsync("<a@docs.example>", links: links), StringComparison.Ordinal);
        foreach (var hostile in HostilePayloads.All)
            Assert.Empty(new HtmlParser().ParseDocument(await Rendered.HtmlAsync(hostile, links: links)).QuerySelectorAll("[href], [src]"));
        Assert.Contains("(https://evil.example/a)", await Rendered.HtmlAsync("[a](https://evil.example/a)", links: links), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Text_that_nests_too_deeply_is_shown_as_it_is()
    {
        var text = new string('>', 5_000) + " deep";
        Assert.Contains("plain-text", await Rendered.HtmlAsync(text), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_that_was_written_is_lost()
    {
        foreach (var payload in HostilePayloads.All.Where(payload => payload.StartsWith('<')))
        {
            var text = new HtmlParser().ParseDocument(await Rendered.HtmlAsync(payload)).Body!.TextContent;
            Assert.True(text.Length > 0, payload);
        }
    }

    [Theory]
    [InlineData("var x = 1; // one", "cs", "tok-keyword,tok-number,tok-comment")]
    [InlineData("select 'a' -- b", "sql", "tok-keyword,tok-string,tok-comment")]
    [InlineData("# note\nprint(\"x\")", "python", "tok-comment,tok-string")]
    [InlineData("unclosed \"string", "js", "tok-string")]
    public void Code_is_coloured_without_losing_a_character(string code, string language, string kinds)
    {
        var parts = CodeHighlighter.Split(code, language).ToList();
        Assert.Equal(code, string.Concat(parts.Select(part => part.Text)));
        Assert.Equal(kinds, string.Join(',', parts.Select(part => part.Kind).Where(kind => kind is not null)));
    }

    [Fact]
    public void Colouring_keeps_every_text()
    {
        const string Alphabet = "ab1 \"'`\\/*-#<>!\n{};";
        for (var seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            var code = string.Concat(Enumerable.Range(0, random.Next(80)).Select(_ => Alphabet[random.Next(Alphabet.Length)]));
            foreach (var language in new[] { "cs", "python", "sql", "html" })
                Assert.Equal(code, string.Concat(CodeHighlighter.Split(code, language).Select(part => part.Text)));
        }
    }
}
