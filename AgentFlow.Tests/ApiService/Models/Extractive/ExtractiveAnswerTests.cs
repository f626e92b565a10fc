using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Models.Extractive;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Tests.ApiService.Models.Extractive;

public sealed class ExtractiveAnswerTests
{
    private const string Gpl =
        "You may convey verbatim copies of the Program's source code as you receive it, in any medium. "
        + "There is no warranty for the program, to the extent permitted by applicable law. "
        + "You may charge any price or no price for each copy that you convey.";

    private const string Readme = "AgentFlow is started with dotnet run. It listens on port 5080 by default. Qdrant is optional.";

    [Theory]
    [InlineData("Is there a warranty for the program?", "There is no warranty for the program, to the extent permitted by applicable law. [1]")]
    [InlineData("On which port does AgentFlow listen?", "It listens on port 5080 by default. [2]")]
    [InlineData("Does the readme say where it listens?", "It listens on port 5080 by default. [2]")]
    [InlineData("What price may I charge for a copy?", "You may charge any price or no price for each copy that you convey. [1]")]
    public void The_sentence_that_answers_is_quoted_with_its_marker(string question, string expected) =>
        Assert.Contains(expected, Answer(question), StringComparison.Ordinal);

    [Theory]
    [InlineData("Who won the football championship in 1954?")]
    [InlineData("Wie hoch ist der Eiffelturm?")]
    [InlineData("???")]
    public void It_says_plainly_when_it_found_nothing(string question) =>
        Assert.StartsWith("I found nothing about that in your documents or in what you told me.", Answer(question), StringComparison.Ordinal);

    [Theory]
    [InlineData("What do I prefer to drink?", "I prefer tea over coffee.", "From what you told me: You prefer tea over coffee.")]
    [InlineData("What do I like to drink?", "I prefer tea over coffee.", "From what you told me: You prefer tea over coffee.")]
    [InlineData("What is my name?", "My name is Alice.", "From what you told me: Your name is Alice.")]
    [InlineData("Where is the deploy key?", "The deploy key is on the red stick.", "From what you told me: The deploy key is on the red stick.")]
    [InlineData("Where does Ada live?", "Ada lives in Lisbon.", "From what you told me: Ada lives in Lisbon.")]
    [InlineData("What do you know about me?", "I'm a nurse.", "From what you told me: You are a nurse.")]
    public void A_preference_said_earlier_answers(string question, string memory, string expected) =>
        Assert.Equal(expected, Answer(question, memory));

    [Fact]
    public void A_statement_is_acknowledged_and_not_searched_for() => Assert.Equal(
        "I will remember that: Your name is Alice.",
        ExtractiveAnswer.Write(Sources("Hi, my name is Alice.") with { Noted = ["My name is Alice."] }, 3));

    [Fact]
    public void Selected_text_alone_answers()
    {
        var sources = Sources("What happens on Monday?") with { Passages = [Passage.OfSelection("Shops close early. On Monday the museum is closed.")], IsSelectedText = true };

        Assert.Equal("On Monday the museum is closed. [1]", ExtractiveAnswer.Write(sources, 3));
        Assert.Equal("The selected text says nothing about that.", ExtractiveAnswer.Write(sources with { Question = "Where is Paris?" }, 3));
    }

    [Fact]
    public void A_source_that_was_down_is_said() => Assert.StartsWith(
        "I could not search your documents just now",
        ExtractiveAnswer.Write(Sources("Where is Paris?") with { Passages = [], Degraded = ["documents"] }, 3),
        StringComparison.Ordinal);

    [Fact]
    public void Words_put_together_are_the_answer()
    {
        const string text = "One  two\n\nthree. ";
        Assert.Equal(["One  ", "two\n\n", "three. "], ExtractiveChatClient.Words(text));
    }

    private static string Answer(string question, params string[] memories) => ExtractiveAnswer.Write(Sources(question, memories), 3);

    private static AnswerSources Sources(string question, params string[] memories) => new()
    {
        Question = question,
        Passages =
        [
            new Passage(1, DocumentId.New(), ChunkId.New(), "GPL-3", null, 0, Gpl, 0.8),
            new Passage(2, DocumentId.New(), ChunkId.New(), "README.md", null, 0, Readme, 0.7),
        ],
        Memories = [.. memories.Select(m => new RecalledMemory(MemoryId.New(), m, "user", 0.5))],
    };
}
