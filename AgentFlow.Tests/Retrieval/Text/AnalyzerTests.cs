using AgentFlow.Retrieval.Text;

namespace AgentFlow.Tests.Retrieval.Text;

public sealed class AnalyzerTests
{
    [Fact]
    public void A_query_drops_stop_words_unless_it_has_nothing_else()
    {
        Assert.Equal(Analyzer.Query("boiler"), Analyzer.Query("What is the boiler?"));
        Assert.Equal(4, Analyzer.Query("to be or not").Count);
    }

    [Fact]
    public void A_query_meets_the_index_whatever_the_form()
    {
        foreach (var (stored, query) in new[] { ("She went to the cafés", "go café"), ("Kinder's Löffel", "KINDER LOFFEL"), ("the ABC-123_x part", "abc-123_X"), ("don't panic", "panic"), ("我住在東京", "東京") })
        {
            var terms = Analyzer.Index(stored).Terms.Select(term => term.Term).ToHashSet();
            Assert.All(Analyzer.Query(query), term => Assert.Contains(term, terms));
        }
    }

    [Fact]
    public void Terms_are_counted_and_sorted()
    {
        var vector = Analyzer.Index("tea, green tea and the tea house");
        Assert.Equal(3, vector.Terms.Single(term => term.Term == Analyzer.Query("tea")[0]).Count);
        Assert.Equal(vector.Terms.OrderBy(term => term.Term), vector.Terms);
        Assert.Equal(5, vector.Length);
    }

    /// <summary>Stored sparse vectors hold these numbers: a change of any needs a new collection.</summary>
    [Fact]
    public void Hashes_stay_what_they_are() =>
        Assert.Equal("c42fdde2 6f86e146", string.Join(' ', Analyzer.Query("boiler abc").Select(term => term.ToString("x8"))));
}
