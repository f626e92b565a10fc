using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Events;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.MemoryService.Search;
using AgentFlow.Retrieval.Filters;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.MemoryService.Mem0;

/// <summary>What Mem0's routes ask of the memory service, whatever shape they answer in. Thread-safe.</summary>
internal sealed class Mem0Calls(
    MemoryIngestion ingestion, ModelExtraction model, DurableQueue queue, MemorySearch search, MemoryReader reader, MemoryChanges changes)
{
    private const int DefaultPageSize = 100;
    private const int MaxPageSize = 1_000;
    private const int MaxPage = 1_000_000;

    /// <param name="EventId">Of the operation, to be asked about at <c>/v1/event/{id}/</c>.</param>
    /// <param name="Response">Null when the extraction was queued.</param>
    internal sealed record Added(Guid EventId, AddMemoryResponse? Response);

    /// <param name="mayQueue">The route can answer with an event to poll; extraction by a model is then not waited for.</param>
    internal async Task<Added> AddAsync(MemoryCaller caller, Mem0Body body, bool mayQueue, CancellationToken ct)
    {
        var request = ToRequest(body);
        var operation = new Operation(Guid.CreateVersion7(), MayRepeat: false);
        if (mayQueue && request.Infer && model.IsConfigured)
        {
            ingestion.Check(caller, request);
            await queue.EnqueueAsync(AddMemoriesTask.Make(caller, request, operation.Id), ct);
            return new Added(operation.Id, null);
        }

        return new Added(operation.Id, await ingestion.AddAsync(caller, request, operation, ct));
    }

    internal Task<MemoryFindings> SearchAsync(MemoryCaller caller, Mem0Body body, double defaultThreshold, int defaultTopK, CancellationToken ct)
    {
        var query = body.Required("query");
        MemorySearch.CheckQuery(query);
        var topK = body.Whole("top_k") ?? body.Whole("limit") ?? defaultTopK;
        if (topK is < 0 or > 1_000)
            throw Mem0Edge.Invalid("top_k must be between 1 and 1000");
        return search.FindAsync(
            caller.OwnerId,
            new MemoryQuery(query, Mem0Filters.Read(caller, body))
            {
                TopK = Math.Max(1, topK),
                Threshold = Math.Clamp(body.Number("threshold") ?? defaultThreshold, 0, 1),
                Explain = true,
                Rerank = body.Flag("rerank"),
                Expired = body.Flag("show_expired"),
            },
            ct);
    }

    /// <param name="cursor">Of the address of the next page: where the page before it ended, whatever was added or deleted since; null counts pages.</param>
    /// <returns>One page, newest first, the number of all, and the cursor of the next page; null at the end.</returns>
    internal async Task<(IReadOnlyList<MemoryRow> Rows, long Count, string? Next)> PageAsync(
        MemoryCaller caller, FilterExpression? filter, bool expired, int page, int? pageSize, string? cursor, CancellationToken ct)
    {
        var size = pageSize ?? DefaultPageSize;
        if (page is < 1 or > MaxPage || size is < 1 or > MaxPageSize)
            throw Mem0Edge.Invalid($"page is 1 to {MaxPage} and page_size is 1 to {MaxPageSize}");
        var before = Mem0Pages.Sequence(cursor);
        var listing = new MemoryListing { Filter = filter, Expired = expired, Before = before, Offset = before is null ? (page - 1) * size : 0, Limit = size + 1 };
        var rows = await reader.ListAsync(caller.OwnerId, listing, ct);
        var count = page == 1 && rows.Count <= size ? rows.Count : await reader.CountAsync(caller.OwnerId, listing with { Before = null }, ct);
        return rows.Count <= size ? (rows, count, null) : (rows.GetRange(0, size), count, SequenceCursor.Encode(rows[size - 1].Sequence));
    }

    /// <returns>All of them, newest first.</returns>
    /// <exception cref="ProblemException">413: there are more than <paramref name="most"/>.</exception>
    internal async Task<IReadOnlyList<MemoryRow>> AllAsync(MemoryCaller caller, FilterExpression? filter, int most, CancellationToken ct)
    {
        var rows = new List<MemoryRow>();
        var listing = new MemoryListing { Filter = filter, Limit = MaxPageSize };
        while (await reader.ListAsync(caller.OwnerId, listing, ct) is { Count: > 0 } page)
        {
            rows.AddRange(page);
            if (rows.Count > most)
            {
                throw new ProblemException(
                    StatusCodes.Status413PayloadTooLarge, "too_many_memories", $"More than {most} memories match; narrow the filters, or take all of them with POST /api/export.");
            }

            listing = listing with { Before = page[^1].Sequence };
        }

        return rows;
    }

    internal async Task<MemoryRow> GetAsync(MemoryCaller caller, string id, CancellationToken ct) =>
        await changes.FindAsync(caller, ParseId(id), ct) is { Status: not MemoryStatus.Deleted } row ? row : throw Mem0Edge.NotFound();

    /// <summary>Deleted memories still have a history.</summary>
    internal async Task<(MemoryRow Memory, IReadOnlyList<HistoryRow> History)> HistoryAsync(MemoryCaller caller, string id, CancellationToken ct)
    {
        var memory = await changes.FindAsync(caller, ParseId(id), ct) ?? throw Mem0Edge.NotFound();
        return (memory, await reader.HistoryAsync(caller.OwnerId, memory.Id, ct));
    }

    internal async Task<MemoryRow> UpdateAsync(MemoryCaller caller, string id, Mem0Body body, CancellationToken ct)
    {
        var expiry = body.Text("expiration_date");
        var patch = new MemoryPatch
        {
            Text = body.Text("text") ?? body.Text("data"),
            Metadata = body.Get("metadata"),
            ExpiresAt = Mem0Body.Expiry(expiry),
            ClearExpiresAt = expiry is null && body.Has("expiration_date"),
            ObservedAt = body.Moment("timestamp"),
        };
        return await changes.PatchAsync(caller, ParseId(id), patch, Guid.CreateVersion7(), ct) ?? throw Mem0Edge.NotFound();
    }

    internal async Task DeleteAsync(MemoryCaller caller, string id, CancellationToken ct)
    {
        if (!await changes.DeleteAsync(caller, ParseId(id), Guid.CreateVersion7(), ct))
            throw Mem0Edge.NotFound();
    }

    /// <summary>A batch with an id that is not there changes nothing, so that what it did need not be guessed.</summary>
    /// <exception cref="ProblemException">404 naming the first that is not there.</exception>
    internal async Task<IReadOnlyList<Guid>> CheckThereAsync(MemoryCaller caller, IReadOnlyList<string> ids, CancellationToken ct)
    {
        var parsed = ids.Select(id => ParseId(id).Value).ToList();
        var there = (await reader.GetManyAsync(caller.OwnerId, parsed, ct)).Where(row => row.Status != MemoryStatus.Deleted && caller.Sees(row.Scope)).Select(row => row.Id.Value).ToHashSet();
        var missing = parsed.FindIndex(id => !there.Contains(id));
        return missing < 0 ? parsed : throw Mem0Edge.NotFound($"Memory {ids[missing]}");
    }

    internal Task DeleteManyAsync(MemoryCaller caller, IReadOnlyList<Guid> ids, CancellationToken ct) => changes.DeleteManyAsync(caller, ids, Guid.CreateVersion7(), ct);

    /// <returns>The operation's id.</returns>
    internal async Task<Guid> DeleteSubjectAsync(MemoryCaller caller, MemoryScope asked, CancellationToken ct)
    {
        var subject = caller.Bind(asked);
        if (SubjectFilter.IsEmpty(subject))
            throw Mem0Edge.Invalid("At least one of user_id, agent_id, app_id, run_id is required");
        var operation = Guid.CreateVersion7();

        // Mem0's wildcard: {user_id: "*"} deletes what has any user.
        FilterExpression? filter = null;
        foreach (var (column, value) in SubjectFilter.Pairs(subject))
        {
            var field = new FilterField(column, []);
            filter = FilterExpression.AllOf(filter, value switch
            {
                null => null,
                "*" => new FilterExpression.Exists(field),
                _ => new FilterExpression.AnyOf(field, [new FilterValue(value)]),
            });
        }

        await changes.DeleteMatchingAsync(caller, filter, operation, ct);
        return operation;
    }

    private static AddMemoryRequest ToRequest(Mem0Body body)
    {
        var scope = body.Scope();
        if (body.Text("memory_type") is { } type && type != "procedural_memory")
            throw Mem0Edge.Invalid($"Invalid memory_type '{type}'. Only 'procedural_memory' is supported.");
        return new AddMemoryRequest
        {
            Messages = body.Messages(),
            UserId = scope.UserId,
            AgentId = scope.AgentId,
            SessionId = scope.SessionId,
            AppId = scope.AppId,
            Infer = body.Flag("infer", whenAbsent: true),
            Kind = body.Text("memory_type") is null ? MemoryKind.Fact : MemoryKind.Procedure,
            Metadata = body.Get("metadata"),
            ExpiresAt = Mem0Body.Expiry(body.Text("expiration_date")),
            ObservedAt = body.Moment("timestamp") ?? body.Moment("observation_datetime") ?? body.Moment("observation_date"),
            Immutable = body.Flag("immutable"),
            Instructions = Instructions(body),
        };
    }

    private static string? Instructions(Mem0Body body)
    {
        var parts = new[] { body.Text("custom_instructions"), body.Text("agent_custom_instructions"), body.Text("prompt"), Named("Only", "includes"), Named("Nothing about", "excludes"), Categories() };
        var text = string.Join('\n', parts.Where(part => !string.IsNullOrWhiteSpace(part)));
        return text.Length == 0 ? null : text;

        string? Named(string lead, string name) => body.Text(name) is { } value ? $"{lead}: {value}" : null;

        string? Categories() => body.List("custom_categories") is { Count: > 0 } list ? $"Use these categories: {JsonSerializer.Serialize(list)}" : null;
    }

    private static MemoryId ParseId(string id) => Guid.TryParse(id, out var value) ? new MemoryId(value) : throw Mem0Edge.NotFound();
}
