using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.ApiService.Documents;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.ServiceDefaults.Tokens;

namespace AgentFlow.ApiService.Tasks;

/// <summary>The account's own memories in bulk, through the memory service's routes; <c>user_id</c> is always the account.</summary>
internal sealed class MemoryBulk(HttpClient http, InternalTokens tokens)
{
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private static readonly string[] Scopes = ["memory.read", "memory.write"];

    /// <summary>All of them with versions and history, as <see cref="MemoryExport"/>, while the service reads them.</summary>
    public async Task<HttpResponseMessage> OpenExportAsync(Guid owner, CancellationToken ct)
    {
        using var request = Request(HttpMethod.Post, "/api/export", owner, JsonContent.Create(new MemoryScope { UserId = owner.ToString("D") }, options: ContractJson.Options));
        request.Options.Set(ServiceResilience.Streaming, true);
        var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        return response.EnsureSuccessStatusCode();
    }

    /// <param name="owner">Whose memories they become.</param>
    /// <param name="memories">Kept as they are; nothing is inferred.</param>
    /// <param name="key">Makes a repetition harmless.</param>
    /// <param name="ct">Ends the call.</param>
    public async Task<IReadOnlyList<MemoryBatchResult>> AddAsync(Guid owner, IReadOnlyList<PlainMemory> memories, string key, CancellationToken ct)
    {
        var batch = new MemoryBatch
        {
            Add = [.. memories.Select(one => new AddMemoryRequest { Text = one.Text, UserId = owner.ToString("D"), Infer = false, ObservedAt = one.ObservedAt, Metadata = one.Metadata })],
        };
        using var request = Request(HttpMethod.Post, "/api/memories/batch", owner, JsonContent.Create(batch, options: ContractJson.Options));
        request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        using var response = await http.SendAsync(request, ct);
        return (await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<Page<MemoryBatchResult>>(ContractJson.Lenient, ct))!.Items;
    }

    /// <summary>Takes an export in. Ids make a repetition harmless.</summary>
    /// <exception cref="TaskFailedException">The service refuses it, saying why.</exception>
    public async Task<ImportReport> ImportAsync(Guid owner, JsonElement export, CancellationToken ct)
    {
        using var request = Request(HttpMethod.Post, $"/api/import?userId={owner:D}", owner, JsonContent.Create(export, options: ContractJson.Options));
        using var response = await http.SendAsync(request, ct);
        if (response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge)
            throw new TaskFailedException((await response.Content.ReadFromJsonAsync<JsonElement>(ct)).GetProperty("detail").GetString()!);
        return (await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<ImportReport>(ContractJson.Lenient, ct))!;
    }

    public async Task DeleteAllAsync(Guid owner, CancellationToken ct)
    {
        using var request = Request(HttpMethod.Delete, $"/api/memories?userId={owner:D}", owner, null);
        using var response = await http.SendAsync(request, ct);
        response.EnsureSuccessStatusCode();
    }

    private HttpRequestMessage Request(HttpMethod method, string path, Guid owner, HttpContent? content)
    {
        var request = new HttpRequestMessage(method, path) { Content = content };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", tokens.Issue(owner, Scopes));
        return request;
    }
}

/// <summary>Everything that is remembered of the account, with ids, versions and history, as a file of any size.</summary>
internal sealed class MemoryExportTask(MemoryBulk memories, TaskFiles files) : ITaskHandler
{
    private const int BytesPerReport = 4 << 20;

    public string Kind => TaskKinds.MemoryExport;

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        using var response = await memories.OpenExportAsync(context.OwnerId, ct);
        await using var export = await response.Content.ReadAsStreamAsync(ct);
        long reported = 0;
        var bytes = await files.WriteAsync(
            context,
            export,
            async written =>
            {
                if (written - reported < BytesPerReport)
                    return;
                reported = written;
                await context.ReportAsync(0.5, $"{written >> 20} MB", ct);
            },
            ct);
        return JsonSerializer.SerializeToElement(new TaskFile(MemoryExport.CurrentFormat, bytes, $"/api/tasks/{context.Id:D}/file"), ContractJson.Options);
    }
}

internal sealed class MemoryImportTask(MemoryBulk memories) : ITaskHandler
{
    /// <summary>Memories of one request.</summary>
    private const int BatchSize = 200;

    public string Kind => TaskKinds.MemoryImport;

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        if (!TaskKinds.IsPlain(context.Input))
        {
            var report = await memories.ImportAsync(context.OwnerId, context.Input, ct);
            return JsonSerializer.SerializeToElement(report, ContractJson.Options);
        }

        var items = TaskKinds.Read<PlainMemories>(context.Input).Items;
        for (var done = 0; done < items.Count; done += BatchSize)
        {
            await context.ReportAsync((double)done / items.Count, $"{done} of {items.Count} memories", ct);
            var results = await memories.AddAsync(context.OwnerId, [.. items.Skip(done).Take(BatchSize)], $"task-{context.Id:N}-{done}", ct);
            if (results.FirstOrDefault(result => result.Status >= (int)HttpStatusCode.BadRequest) is { } refused)
                throw new TaskFailedException($"Memory {done + refused.Index + 1} of {items.Count} can not be kept: {refused.Detail}");
        }

        return JsonSerializer.SerializeToElement(new { imported = items.Count }, ContractJson.Options);
    }
}

/// <summary>Deletes all documents or memories of the account. Repeated, it finds nothing left.</summary>
internal sealed class EraseTask(DocumentStore documents, MemoryBulk memories, TaskFiles files) : ITaskHandler
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
        {
            await memories.DeleteAllAsync(context.OwnerId, ct);
            await files.ForgetMemoriesAsync(context.OwnerId, ct);
        }

        return JsonSerializer.SerializeToElement(new { what, documents = erased }, ContractJson.Options);
    }
}
