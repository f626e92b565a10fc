using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>The document routes as a test speaks to them.</summary>
internal sealed class DocumentClient(TestUser user)
{
    private static readonly TimeSpan Limit = Patience.Limit;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public HttpClient Http => user.Client;

    public static MultipartFormDataContent Form(params (string Name, byte[] Bytes)[] files)
    {
        var form = new MultipartFormDataContent();
        foreach (var (name, bytes) in files)
        {
            var content = new ByteArrayContent(bytes);
            content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
            form.Add(content, "file", name);
        }

        return form;
    }

    public Task<HttpResponseMessage> PostAsync(params (string Name, byte[] Bytes)[] files) => Http.PostAsync("/api/documents", Form(files), Ct);

    public async Task<UploadedDocument> UploadAsync(string name, byte[] bytes)
    {
        using var response = await PostAsync((name, bytes));
        Assert.True(response.StatusCode == HttpStatusCode.Created, await response.Content.ReadAsStringAsync(Ct));
        var upload = await response.Content.ReadFromJsonAsync<UploadResponse>(ContractJson.Options, Ct);
        return Assert.Single(upload!.Items);
    }

    public Task<UploadedDocument> UploadAsync(string name, string text) => UploadAsync(name, Encoding.UTF8.GetBytes(text));

    /// <summary>Uploads and waits for the end of ingestion.</summary>
    public async Task<DocumentSummary> IngestAsync(string name, byte[] bytes) => await FinishedAsync((await UploadAsync(name, bytes)).Id!.Value);

    public Task<DocumentSummary> IngestAsync(string name, string text) => IngestAsync(name, Encoding.UTF8.GetBytes(text));

    public async Task<DocumentSummary> FinishedAsync(DocumentId id)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        limit.CancelAfter(Limit);
        while (true)
        {
            var document = await GetAsync(id);
            if (document.Status is DocumentStatus.Ready or DocumentStatus.Failed)
                return document;
            await Task.Delay(20, limit.Token);
        }
    }

    public async Task<DocumentSummary> GetAsync(DocumentId id) =>
        (await Http.GetFromJsonAsync<DocumentSummary>($"/api/documents/{id}", ContractJson.Options, Ct))!;

    public async Task<IReadOnlyList<DocumentHit>> SearchAsync(string query, int topK = 5) => (await AnswerAsync(new DocumentSearchRequest { Query = query, TopK = topK })).Items;

    public async Task<DocumentSearchResponse> AnswerAsync(DocumentSearchRequest request)
    {
        using var response = await Http.PostAsJsonAsync("/api/documents/search", request, ContractJson.Options, Ct);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Ct));
        return (await response.Content.ReadFromJsonAsync<DocumentSearchResponse>(ContractJson.Options, Ct))!;
    }

    public async Task<string> TextAsync(DocumentId id, int start = 0, int? end = null)
    {
        var range = string.Create(CultureInfo.InvariantCulture, $"?start={start}{(end is null ? "" : $"&end={end}")}");
        return (await Http.GetFromJsonAsync<DocumentText>($"/api/documents/{id}/text{range}", ContractJson.Options, Ct))!.Text;
    }

    public async Task<IReadOnlyList<DocumentChunk>> ChunksAsync(DocumentId id)
    {
        var chunks = new List<DocumentChunk>();
        string? cursor = null;
        do
        {
            var page = await Http.GetFromJsonAsync<Page<DocumentChunk>>($"/api/documents/{id}/chunks?limit=200{(cursor is null ? "" : $"&cursor={cursor}")}", ContractJson.Options, Ct);
            chunks.AddRange(page!.Items);
            cursor = page.NextCursor;
        }
        while (cursor is not null);
        return chunks;
    }
}
