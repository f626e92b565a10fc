using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Web.Api;

namespace AgentFlow.Web.Components.Documents;

internal static class DocumentLoader
{
    private const int PageSize = 200;

    /// <summary>The most chunks that are fetched for reading: about 5 MB of text.</summary>
    private const int MaxChunks = 5_000;

    public static async Task<string> TextAsync(ApiClient api, DocumentId document, CancellationToken cancellationToken) =>
        DocumentText.From(await ChunksAsync(api, document, cancellationToken));

    public static async Task<List<DocumentChunk>> ChunksAsync(ApiClient api, DocumentId document, CancellationToken cancellationToken)
    {
        var chunks = new List<DocumentChunk>();
        string? cursor = null;
        do
        {
            var more = cursor is null ? "" : "&cursor=" + Uri.EscapeDataString(cursor);
            var page = await api.GetAsync<Page<DocumentChunk>>($"api/documents/{document}/chunks?limit={PageSize}{more}", cancellationToken);
            chunks.AddRange(page.Items);
            cursor = page.NextCursor;
        }
        while (cursor is not null && chunks.Count < MaxChunks);
        return chunks;
    }
}
