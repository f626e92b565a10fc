using AgentFlow.Retrieval.Text;

namespace AgentFlow.Tests.Retrieval.Text;

public sealed class TokenizerTests
{
    [Theory]
    [InlineData("Hello, World!", "hello world")]
    [InlineData("ABC-123_x", "abc 123 x abc-123_x")]
    [InlineData("INV-2041", "inv 2041 inv-2041")]
    [InlineData("well-known", "well known")]
    [InlineData("getUserName", "get user name getusername")]
    [InlineData("mail me at a.b@c.org.", "mail me at a b c org a.b@c.org")]
    [InlineData("C# and C++, not c", "c c# and c c++ not c")]
    [InlineData("1,000 at 10:30", "1000 at 10 30 10:30")]
    [InlineData("don't O'Brien", "don't o'brien")]
    [InlineData("Müller MÜLLER Mu\u0308ller", "muller muller muller")]
    [InlineData("ﬁne Œuvre straße ＡＢＣ１", "fine oeuvre strasse abc1")]
    [InlineData("ΣΊΣΥΦΟΣ Ёлка", "σισυφοσ елка")]
    [InlineData("東京", "東 東京 京")]
    [InlineData("こんに", "こん んに")]
    [InlineData("ไทย", "ไท ทย")]
    [InlineData("서울에", "서울 울에 서울에")]
    [InlineData("C:\\temp\\x_1.log", "c temp x 1 log x_1.log")]
    [InlineData("", "")]
    [InlineData("... --- !!!", "")]
    [InlineData("\U0002000B\U0002000C a \U0001F600", "\U0002000B \U0002000B\U0002000C \U0002000C a")]
    public void Text_is_cut_into_folded_terms(string text, string expected) =>
        Assert.Equal(expected, string.Join(' ', Tokenizer.Tokenize(text).Select(token => token.Term)));

    [Fact]
    public void Offsets_point_at_what_was_folded()
    {
        const string Text = "Der Löffel ABC-12 liegt: 東京";
        Assert.Equal(
            ["Der", "Löffel", "ABC", "12", "ABC-12", "liegt", "東", "東京", "京"],
            Tokenizer.Tokenize(Text).Select(token => Text[token.Start..token.End]));
    }

    [Fact]
    public void Any_text_can_be_cut_and_offsets_stay_inside()
    {
        var random = new Random(4);
        for (var i = 0; i < 2_000; i++)
        {
            var text = new string([.. Enumerable.Range(0, random.Next(60)).Select(_ => random.Next(3) == 0 ? (char)random.Next(1, 0xFFFF) : "aZ9_-.'#+@ \u0301"[random.Next(12)])]);
            foreach (var token in Tokenizer.Tokenize(text))
            {
                Assert.InRange(token.Start, 0, token.End - 1);
                Assert.InRange(token.End, 1, text.Length);
                Assert.NotEmpty(token.Term);
            }
        }
    }

    [Fact]
    public void A_word_without_end_is_cut()
    {
        var tokens = Tokenizer.Tokenize(new string('a', 100_000));
        Assert.All(tokens, token => Assert.InRange(token.Term.Length, 1, 136));
    }
}
