using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;

namespace AgentFlow.Tests.MemoryService.Ingestion;

public sealed class RuleExtractionTests
{
    [Theory]
    [InlineData("Hi there, my name is Alice. Can you help me?", "My name is Alice.")]
    [InlineData("Please remember that the deploy key is on the red USB stick.", "The deploy key is on the red USB stick.")]
    [InlineData("I prefer short answers!", "I prefer short answers!")]
    [InlineData("I'm allergic to peanuts, by the way.", "I'm allergic to peanuts, by the way.")]
    [InlineData("My sister lives in Oslo. What is the weather there?", "My sister lives in Oslo.")]
    [InlineData("remember: bring the blue folder", "Bring the blue folder")]
    [InlineData("Actually I don't like coffee anymore.", "I don't like coffee anymore.")]
    public void A_statement_about_the_speaker_is_a_fact(string said, string fact) => Assert.Equal([fact], RuleExtraction.Extract(said));

    [Theory]
    [InlineData("What is my name?")]
    [InlineData("Do you remember that I live in Berlin?")]
    [InlineData("I have a question about taxes.")]
    [InlineData("I'm looking for a good book.")]
    [InlineData("If I lived in Berlin, what would I pay?")]
    [InlineData("Thanks, that is great.")]
    [InlineData("I think it will rain.")]
    [InlineData("The capital of France is Paris.")]
    [InlineData("")]
    public void Questions_and_passing_remarks_are_none(string said) => Assert.Empty(RuleExtraction.Extract(said));

    [Theory]
    [InlineData("My name is Alice", "Call me Bob", true)]
    [InlineData("I live in Berlin", "I just moved to Lisbon", true)]
    [InlineData("I prefer dark mode", "I prefer light mode", true)]
    [InlineData("I like coffee", "I don't like coffee anymore", true)]
    [InlineData("I prefer tea over coffee", "I prefer coffee over tea", true)]
    [InlineData("My favourite colour is blue", "My favourite colour is green now", true)]
    [InlineData("I am vegetarian", "I'm no longer vegetarian", true)]
    [InlineData("The user works at Initech", "I work for Initrode", true)]
    [InlineData("I like coffee", "I like tea", false)]
    [InlineData("I like dark chocolate", "I like milk chocolate", false)]
    [InlineData("My favourite colour is blue", "My favourite food is soup", false)]
    public void Two_facts_contradict_each_other_when_one_value_excludes_the_other(string first, string second, bool contradict)
    {
        var (x, y) = (FactSlot.Parse(first)!.Value, FactSlot.Parse(second)!.Value);
        Assert.Equal(contradict, x.Name == y.Name && x.Value != y.Value);
    }

    [Fact]
    public void What_was_recalled_is_not_learned_again()
    {
        var messages = EchoGuard.Strip(
        [
            new("system", "My name is Assistant."),
            new("user", $"{EchoGuard.OpeningMark}\n- My name is Alice\n{EchoGuard.ClosingMark} I live in Rome."),
            new("tool", "I live in Paris."),
            new("user", $"{EchoGuard.OpeningMark} I live in Oslo"),
        ]);
        Assert.Equal([" I live in Rome."], messages.Select(message => message.Content));
    }

    [Fact]
    public void A_long_conversation_is_split_without_losing_a_word()
    {
        var words = Enumerable.Range(0, 4_000).Select(i => $"w{i}{(i % 11 == 10 ? "." : string.Empty)}").ToList();
        var windows = ConversationWindows.Cut([new("user", string.Join(' ', words)), new("assistant", "ok"), new("user", new string('x', 5_000))], 1_000);

        Assert.All(windows, window => Assert.InRange(window.Length, 1, 1_001));
        var text = string.Join(' ', windows.Select(window => window.Replace("user: ", string.Empty, StringComparison.Ordinal)));
        Assert.All(words, word => Assert.Contains(word, text, StringComparison.Ordinal));
        Assert.Equal(5_000, text.Count(c => c == 'x'));
    }
}
