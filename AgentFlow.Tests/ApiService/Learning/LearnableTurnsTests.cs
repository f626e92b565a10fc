using AgentFlow.ApiService.Learning;
using AgentFlow.ApiService.Models.Extractive;
using AgentFlow.MemoryService.Ingestion;

namespace AgentFlow.Tests.ApiService.Learning;

/// <summary>A turn is not queued for learning only where the memory service's rules would find nothing in it.</summary>
public sealed class LearnableTurnsTests
{
    private static readonly string[] Words =
    [
        "Hi", "hello there,", "actually", "Please,", "and", "I", "i", "I'm", "I’m", "I am", "my", "My", "name", "is", "are", "was", "Alice", "call me", "Bob", "live", "prefer", "like", "don't",
        "never", "tea", "remember:", "remember that", "Note:", "note this:", "keep in mind that", "Don't forget that", "do not forget:", "make a note: ", "memorise this:", "Memorize that",
        "always remember", "the key", "you", "we", "sold", "herring", "in", "Lisbon", "it", "works", ".", "!", "?", ",", "\n", "\"", "(", "was born",
    ];

    [Fact]
    public void Whatever_the_rules_find_something_in_is_looked_at()
    {
        var random = new Random(4);
        var found = 0;
        for (var i = 0; i < 20_000; i++)
        {
            var said = string.Join(' ', Enumerable.Range(0, random.Next(1, 9)).Select(_ => Words[random.Next(Words.Length)]));
            if (RuleExtraction.Extract(said).Count == 0)
                continue;
            found++;
            Assert.True(Statements.MayTellSomething(said), said);
        }

        Assert.InRange(found, 500, 20_000);
    }

    [Theory]
    [InlineData("We decided to use Postgres.", "We decided to use Postgres.")]
    [InlineData("Ok, so we're now shipping every Friday! What do you think?", "We're now shipping every Friday!")]
    [InlineData("our staging server runs Debian. I like it.", "Our staging server runs Debian.")]
    [InlineData("The project is called Petrel; the deadline is 3 May.", "The project is called Petrel; the deadline is 3 May.")]
    [InlineData("This sprint ends on Tuesday.", "This sprint ends on Tuesday.")]
    public void A_statement_about_the_work_is_one(string said, string expected) => Assert.Equal([expected], WorkStatements.In(said));

    [Theory]
    [InlineData("My name is Alice.")]
    [InlineData("I decided to move to Lisbon.")]
    [InlineData("Did we decide to use Postgres?")]
    [InlineData("We see.")]
    [InlineData("We could talk about the weather.")]
    [InlineData("The sky is blue.")]
    [InlineData("Explain the project to me.")]
    [InlineData("")]
    public void What_is_not_is_none(string said) => Assert.Empty(WorkStatements.In(said));

    [Theory]
    [InlineData("Say fifty words.")]
    [InlineData("What was sold in Lisbon?")]
    [InlineData("Summarise the second chapter, please!")]
    public void A_question_about_other_things_is_not(string said) => Assert.False(Statements.MayTellSomething(said));
}
