using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.ApiService.Documents;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.ServiceDefaults.Tokens;

namespace AgentFlow.ApiService.Tasks;

/// <summary>The account's own memories in bulk, through the memory service's routes; <c>user_id</c> is always the account.</summary>
internal sealed class MemoryBulk(HttpClient http, InternalTokens tokens)
{
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private const int PageSize = 200;
    private static readonly string[] Scopes = ["memory.read", "memory.write"];

    public async Task<Page<MemoryItem>> PageAsync(Guid owner, string? cursor, CancellationToken ct)
    {
        var path = $"/api/memories?userId={owner:D}&limit={PageSize}{(cursor is null ? string.Empty : $"&cursor={Uri.EscapeDataString(cursor)}")}";
        using var response = await SendAsync(HttpMethod.Get, path, owner, null, null, ct);
        return await response.Content.ReadFromJsonAsync<Page<MemoryItem>>(ContractJson.Lenient, ct) ?? new Page<MemoryItem>([]);
    }

    /// <param name="owner">Whose memory it becomes.</param>
    /// <param name="memory">Kept as it is; nothing is inferred.</param>
    /// <param name="key">Makes a repetition harmless.</param>
    /// <param name="ct">Ends the call.</param>
    public async Task AddAsync(Guid owner, ExportedMemory memory, string key, CancellationToken ct)
    {
        var body = new AddMemoryRequest { Text = memory.Text, UserId = owner.ToString("D"), Infer = false, ObservedAt = memory.ObservedAt, Metadata = memory.Metadata };
        using var response = await SendAsync(HttpMethod.Post, "/api/memories", owner, JsonContent.Create(body, options: ContractJson.Options), key, ct);
    }

    public async Task DeleteAllAsync(Guid owner, CancellationToken ct)
    {
        using var response = await SendAsync(HttpMethod.Delete, $"/api/memories?userId={owner:D}", owner, null, null, ct);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, Guid owner, HttpContent? content, string? key, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", tokens.Issue(owner, Scopes));
        if (key is not null)
            request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        var response = await http.SendAsync(request, ct);
        return response.EnsureSuccessStatusCode();
    }
}

internal sealed class MemoryExportTask(MemoryBulk memories) : ITaskHandler
{
    /// <summary>A result is one JSON value in a row; beyond this the memory service's own export is the way.</summary>
    private const int MaxItems = 10_000;

    public string Kind => TaskKinds.MemoryExport;

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        var items = new List<ExportedMemory>();
        string? cursor = null;
        do
        {
            var page = await memories.PageAsync(context.OwnerId, cursor, ct);
            items.AddRange(page.Items.Select(memory => new ExportedMemory(memory.Text, memory.ObservedAt, memory.Metadata)));
            if (items.Count > MaxItems)
                throw new TaskFailedException($"There are more than {MaxItems:N0} memories.");
            cursor = page.NextCursor;
            await context.ReportAsync(0.5, $"{items.Count} memories", ct);
        }
        while (cursor is not null);
        return JsonSerializer.SerializeToElement(new MemoryImport(items), ContractJson.Options);
    }
}

internal sealed class MemoryImportTask(MemoryBulk memories) : ITaskHandler
{
    public string Kind => TaskKinds.MemoryImport;

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        var items = TaskKinds.Read<MemoryImport>(context.Input).Items;
        for (var i = 0; i < items.Count; i++)
        {
            if (i % 20 == 0)
                await context.ReportAsync((double)i / items.Count, $"{i} of {items.Count} memories", ct);
            await memories.AddAsync(context.OwnerId, items[i], $"task-{context.Id:N}-{i}", ct);
        }

        return JsonSerializer.SerializeToElement(new { imported = items.Count }, ContractJson.Options);
    }
}

/// <summary>Deletes all documents or memories of the account. Repeated, it finds nothing left.</summary>
internal sealed class EraseTask(DocumentStore documents, MemoryBulk memories) : ITaskHandler
{
    private const int PageSize = 100;

    public string Kind => TaskKinds.Erase;

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        var what = TaskKinds.Read<EraseRequest>(context.Input).What;
        var erased = 0;
        if (what.Contains(EraseRequest.Documents))
        {
            var owner = new OwnerId(context.OwnerId);
            while (await documents.ListAsync(owner, new DocumentListing(null, PageSize), ct) is { Items.Count: > 0 } page)
            {
                foreach (var document in page.Items)
                {
                    await documents.DeleteAsync(owner, document.Id, ct);
                    erased++;
                }

                await context.ReportAsync(0.5, $"{erased} documents", ct);
            }
        }

        if (what.Contains(EraseRequest.Memories))
            await memories.DeleteAllAsync(context.OwnerId, ct);
        return JsonSerializer.SerializeToElement(new { what, documents = erased }, ContractJson.Options);
    }
}
