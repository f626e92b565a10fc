using AgentFlow.Retrieval.Text;

namespace AgentFlow.Tests.Retrieval.Text;

public sealed class EnglishStemmerTests
{
    /// <summary>Pairs from the published description of the algorithm.</summary>
    [Theory]
    [InlineData("consign consigned consigning consignment consist consisted consistency consistent consistently consisting consists", "consign consign consign consign consist consist consist consist consist consist consist")]
    [InlineData("consolation consolations consolatory console consoled consoles consolidate consolidated consolidating consoling", "consol consol consolatori consol consol consol consolid consolid consolid consol")]
    [InlineData("knack knackeries knacks knag knave knaves knavish kneaded kneading knee kneel kneeling kneels", "knack knackeri knack knag knave knave knavish knead knead knee kneel kneel kneel")]
    [InlineData("generate generically communism university hopping hoped sky skies dying news inning proceed", "generat generic communism univers hop hope sky sky die news inning proceed")]
    [InlineData("caresses ponies ties cats agreed plastered motoring happy relational conditional valenci digitizer", "caress poni tie cat agre plaster motor happi relat condit valenc digit")]
    [InlineData("by say cry at is", "by say cri at is")]
    public void Words_get_their_published_stems(string words, string stems) => Assert.Equal(stems, Stems(words));

    [Theory]
    [InlineData("go went gone goes", "go go go go")]
    [InlineData("buy bought buys buying", "buy buy buy buy")]
    [InlineData("child children", "child child")]
    [InlineData("live lives lived living life", "live live live live live")]
    [InlineData("leave leaves left leaving leaf", "leav leav leav leav leav")]
    [InlineData("write wrote written writing", "write write write write")]
    public void Irregular_forms_meet_their_base(string words, string stems) => Assert.Equal(stems, Stems(words));

    [Fact]
    public void Every_word_keeps_its_length_or_gets_shorter_by_its_stem()
    {
        var random = new Random(2);
        for (var i = 0; i < 20_000; i++)
        {
            var word = new string([.. Enumerable.Range(0, random.Next(1, 14)).Select(_ => "aeioubcdlnrstyinged"[random.Next(19)])]);
            var buffer = word.ToCharArray();
            Assert.InRange(EnglishStemmer.Stem(buffer), 1, word.Length);
        }
    }

    private static string Stems(string words) => string.Join(' ', words.Split(' ').Select(word =>
    {
        var buffer = word.ToCharArray();
        return new string(buffer, 0, EnglishStemmer.Stem(buffer));
    }));
}
