using AgentFlow.Retrieval.Text;

namespace AgentFlow.Tests.Retrieval.Text;

public sealed class SentenceSplitterTests
{
    [Theory]
    [InlineData("One. Two! Three? Four", "One.|Two!|Three?|Four")]
    [InlineData("Dr. Smith met Mr. J. Doe at 5.30 p.m. today. They left.", "Dr. Smith met Mr. J. Doe at 5.30 p.m. today.|They left.")]
    [InlineData("He said \"Go.\" Then he went.", "He said \"Go.\"|Then he went.")]
    [InlineData("A title\n\nThe text goes\nover two lines. And on.", "A title|The text goes\nover two lines.|And on.")]
    [InlineData("これは本です。とても良い。", "これは本です。|とても良い。")]
    [InlineData("See example.com for more... Really?!", "See example.com for more...|Really?!")]
    [InlineData("  \n ", "")]
    public void Sentences_end_where_a_reader_would_say(string text, string expected) =>
        Assert.Equal(expected, string.Join('|', SentenceSplitter.Split(text).Select(span => text[span.Start..span.End])));

    [Fact]
    public void Everything_but_white_space_is_in_exactly_one_sentence()
    {
        var random = new Random(8);
        for (var i = 0; i < 2_000; i++)
        {
            var text = new string([.. Enumerable.Range(0, random.Next(80)).Select(_ => "aB. !?\n\"')。 1"[random.Next(13)])]);
            var spans = SentenceSplitter.Split(text);
            Assert.Equal(string.Concat(text.Where(c => !char.IsWhiteSpace(c))), string.Concat(spans.Select(span => text[span.Start..span.End])).Where(c => !char.IsWhiteSpace(c)).Aggregate("", (all, c) => all + c));
            Assert.All(spans.Zip(spans.Skip(1)), pair => Assert.True(pair.First.End <= pair.Second.Start));
        }
    }
}
