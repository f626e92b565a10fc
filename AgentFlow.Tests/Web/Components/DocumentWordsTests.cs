using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Web.Components.Documents;
using AgentFlow.Web.Resources;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Localization;

namespace AgentFlow.Tests.Web.Components;

public sealed class DocumentWordsTests
{
    [Theory]
    [InlineData(999, null, 0, "999 B")]
    [InlineData(12_345, 1, 1, "12 kB · 1 page · 1 passage")]
    [InlineData(2_500_000, 40, 1234, "2.5 MB · 40 pages · 1234 passages")]
    public void A_document_is_told_in_pages_and_passages(long size, int? pages, int chunks, string said) =>
        Assert.Equal(said, Texts().Facts(Document() with { Size = size, Pages = pages, Chunks = chunks }));

    [Theory]
    [InlineData(0, null, "")]
    [InlineData(0, 0, "")]
    [InlineData(0.101, 1, "10 % · 1 passage so far")]
    [InlineData(0.666, 120, "67 % · 120 passages so far")]
    public void How_far_a_document_is_is_told_in_words(double progress, int? chunks, string said) =>
        Assert.Equal(said, Texts().Progress(Document() with { Progress = progress, ChunksSoFar = chunks }));

    private static IStringLocalizer Texts() => new ServiceCollection().AddLogging().AddLocalization().BuildServiceProvider().GetRequiredService<IStringLocalizer<Texts>>();

    private static DocumentSummary Document() => new()
    {
        Id = DocumentId.New(), Name = "bees.txt", MediaType = "text/plain", Size = 1, Status = DocumentStatus.Embedding, Chunks = 0, Progress = 0, Tags = [],
        CreatedAt = DateTimeOffset.UnixEpoch, UpdatedAt = DateTimeOffset.UnixEpoch,
    };
}
