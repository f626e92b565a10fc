using AgentFlow.ApiService.Context;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Tests.ApiService.Context;

public sealed class CitationResolverTests
{
    private const string Licence = "Copyright notices must be kept. The software comes without any warranty. You may sell copies.";

    private static readonly Passage First = new(1, DocumentId.New(), ChunkId.New(), "licence.txt", 3, 100, Licence, 0.9);
    private static readonly Passage Second = new(2, DocumentId.New(), ChunkId.New(), "manual.md", null, 0, "Press the red button. Then wait.", 0.5);

    [Theory]
    [InlineData("There is no warranty for the software [1].", "There is no warranty for the software [1].")]
    [InlineData("There is no warranty for the software.[1] Good.", "There is no warranty for the software.[1] Good.")]
    [InlineData("There is no warranty [7]. Good.", "There is no warranty. Good.")]
    [InlineData("No warranty [1, 7].", "No warranty [1].")]
    [InlineData("Call `list[1]` or [this](x) or [2024] or [a1].", "Call `list[1]` or [this](x) or [2024] or [a1].")]
    [InlineData("An open bracket [1", "An open bracket [1")]
    [InlineData("Spaces  stay [ ] [,].", "Spaces  stay [ ] [,].")]
    public void Markers_become_numbers_and_unknown_ones_go_wherever_the_stream_is_split(string answer, string shown)
    {
        for (var size = 1; size <= answer.Length; size++)
            Assert.Equal(shown, Text(Resolve(answer, size, out _)));
    }

    [Fact]
    public void The_quote_is_cut_from_the_stored_text_and_narrowed_to_what_was_said()
    {
        var citation = Assert.Single(Citations(Resolve("It comes without warranty [1].", 3, out var unresolved)));

        Assert.Equal(
            new Citation
            {
                Index = 1, DocumentId = First.DocumentId, ChunkId = First.ChunkId, DocumentName = "licence.txt", Page = 3,
                Start = 132, End = 172, Quote = "The software comes without any warranty.",
            },
            citation);
        Assert.Equal(citation.Quote, Licence[(citation.Start - 100)..(citation.End - 100)]);
        Assert.Equal(0, unresolved);
    }

    [Fact]
    public void Numbers_count_quoted_ranges_in_order_of_appearance()
    {
        var pieces = Resolve("Press the button [2]. No warranty [1]. You may sell copies [1]. Press the red button [2].", 4, out _);

        Assert.Equal("Press the button [1]. No warranty [2]. You may sell copies [3]. Press the red button [1].", Text(pieces));
        Assert.Equal(["Press the red button.", "The software comes without any warranty.", "You may sell copies."], Citations(pieces).Select(c => c.Quote));
    }

    [Fact]
    public void A_citation_comes_before_its_marker()
    {
        var pieces = Resolve("No warranty [1].", 1, out _);
        var at = pieces.FindIndex(p => p.Citation is not null);

        Assert.DoesNotContain("[1]", Text(pieces[..at]), StringComparison.Ordinal);
        Assert.StartsWith(" [1]", Text(pieces[at..]).Length > 0 ? " " + Text(pieces[at..]).TrimStart() : "", StringComparison.Ordinal);
    }

    [Fact]
    public void Unknown_markers_are_counted()
    {
        Resolve("a [7] b [8][9] [1]", 2, out var unresolved);

        Assert.Equal(3, unresolved);
    }

    private static List<AnswerPiece> Resolve(string answer, int size, out int unresolved)
    {
        var resolver = new CitationResolver([First, Second]);
        var pieces = answer.Chunk(size).SelectMany(part => resolver.Write(new string(part))).ToList();
        pieces.AddRange(resolver.End());
        unresolved = resolver.Unresolved;
        return pieces;
    }

    private static string Text(IEnumerable<AnswerPiece> pieces) => string.Concat(pieces.Select(p => p.Text));

    private static List<Citation> Citations(IEnumerable<AnswerPiece> pieces) => [.. pieces.Where(p => p.Citation is not null).Select(p => p.Citation!)];
}
