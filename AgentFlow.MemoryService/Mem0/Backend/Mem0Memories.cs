using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.MemoryService.Search;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Retrieval.Ranking;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;

namespace AgentFlow.MemoryService.Mem0.Backend;

/// <summary>What our API asks, carried out by Mem0's hosted API, for one owner and within what his key is bound to. Thread-safe.</summary>
internal sealed class Mem0Memories(Mem0Api api, IOptions<MemoryOptions> options, TimeProvider time)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250);

    /// <summary>Code of the problem that an extraction takes Mem0 longer than we wait.</summary>
    internal const string Pending = "mem0_pending";

    /// <returns>The subjects that it is about.</returns>
    /// <exception cref="ProblemException">The request is not in order, or Mem0 has nothing like it.</exception>
    internal MemoryScope Check(MemoryCaller caller, AddMemoryRequest request)
    {
        var scope = caller.Bind(new MemoryScope { UserId = request.UserId, AgentId = request.AgentId, SessionId = request.SessionId, AppId = request.AppId });
        AddRequestRules.Check(request, scope, options.Value, time.GetUtcNow());
        RefuseWhatIsNotThere(request);
        return scope;
    }

    /// <exception cref="ProblemException">Mem0 refuses, has nothing like it, or is not there.</exception>
    internal async Task<AddMemoryResponse> AddAsync(MemoryCaller caller, AddMemoryRequest request, CancellationToken ct)
    {
        var scope = Check(caller, request);
        var body = new JsonObject
        {
            ["messages"] = new JsonArray([.. Said(request).Select(message => new JsonObject { ["role"] = message.Role, ["content"] = message.Content })]),
            ["infer"] = request.Infer,
            ["immutable"] = request.Immutable,
        };
        OwnerSubjects.Write(body, caller.OwnerId, scope);
        if (request.Metadata is { ValueKind: JsonValueKind.Object } metadata)
            body["metadata"] = JsonNode.Parse(metadata.GetRawText());
        if (request.ExpiresAt is { } expiry)
            body["expiration_date"] = LastDay(expiry);
        if (request.ObservedAt is { } observed)
            body["timestamp"] = observed.ToUnixTimeSeconds();
        if (request.Instructions is { } instructions)
            body["custom_instructions"] = instructions;
        var answer = Object(await api.SendAsync(HttpMethod.Post, "v3/memories/add/", body, ct));
        if (OwnerSubjects.Text(answer, "status") is "PENDING" or "RUNNING")
            answer = await DoneAsync(OwnerSubjects.Text(answer, "event_id"), ct);
        return new AddMemoryResponse([.. Results(answer).Select(ToAddition)], request.Infer ? "mem0" : "verbatim");
    }

    internal async Task<IReadOnlyList<FoundMemory>> SearchAsync(MemoryCaller caller, MemoryQuery query, CancellationToken ct)
    {
        if (query.AsOf is not null || query.KnownAt is not null || query.ExplainId is not null)
            throw Mem0Backend.NotThere(query.ExplainId is null ? "asOf or knownAt" : "explainId");
        var body = new JsonObject
        {
            ["query"] = query.Text,
            ["filters"] = OwnerSubjects.Filter(query.Filter!, caller.OwnerId),
            ["top_k"] = query.TopK,
            ["threshold"] = query.Threshold,
            ["rerank"] = query.Rerank,
        };
        var answer = Object(await api.SendAsync(HttpMethod.Post, "v3/memories/search/", body, ct));
        return [.. Results(answer)
            .Select(memory => (Row: Mine(caller, memory), Memory: memory))
            .Where(found => found.Row is not null)
            .Select(found => new FoundMemory(found.Row!, Math.Clamp(Number(found.Memory, "score"), 0, 1), Parts(found.Memory)))];
    }

    /// <returns>One page, newest first, and whether there are more.</returns>
    internal async Task<(IReadOnlyList<MemoryRow> Rows, bool HasMore, int Count)> ListAsync(
        MemoryCaller caller, FilterExpression filter, bool expired, int page, int size, CancellationToken ct)
    {
        var body = new JsonObject { ["filters"] = OwnerSubjects.Filter(filter, caller.OwnerId), ["show_expired"] = expired };
        var path = string.Create(CultureInfo.InvariantCulture, $"v3/memories/?page={page}&page_size={size}");
        var answer = Object(await api.SendAsync(HttpMethod.Post, path, body, ct));
        var rows = Results(answer).Select(memory => Mine(caller, memory)).OfType<MemoryRow>().ToList();
        return (rows, answer["next"] is not null, (int)Number(answer, "count"));
    }

    /// <returns>Null when there is none, or it is not the caller's.</returns>
    internal async Task<MemoryRow?> FindAsync(MemoryCaller caller, MemoryId id, CancellationToken ct) =>
        await api.SendAsync(HttpMethod.Get, $"v1/memories/{id}/", null, ct) is JsonObject memory ? Mine(caller, memory) : null;

    internal async Task<IReadOnlyList<MemoryHistoryEntry>?> HistoryAsync(MemoryCaller caller, MemoryId id, CancellationToken ct)
    {
        if (await FindAsync(caller, id, ct) is null)
            return null;
        var answer = await api.SendAsync(HttpMethod.Get, $"v1/memories/{id}/history/", null, ct) as JsonArray ?? [];
        return [.. answer.OfType<JsonObject>().Select((entry, i) => new MemoryHistoryEntry
        {
            MemoryId = id,
            Version = i + 1,
            Event = OwnerSubjects.Text(entry, "event") switch { "DELETE" => MemoryChange.Deleted, "UPDATE" => MemoryChange.Updated, _ => MemoryChange.Added },
            OldText = OwnerSubjects.Text(entry, "old_memory"),
            NewText = OwnerSubjects.Text(entry, "new_memory"),
            At = Moment(entry, "created_at") ?? time.GetUtcNow(),
        })];
    }

    internal async Task<MemoryRow?> PatchAsync(MemoryCaller caller, MemoryId id, MemoryPatch patch, CancellationToken ct)
    {
        Check(patch);
        if (await FindAsync(caller, id, ct) is null)
            return null;
        var body = new JsonObject();
        if (patch.Text is { } text)
            body["text"] = text;
        if (patch.Metadata is { ValueKind: JsonValueKind.Object } metadata)
            body["metadata"] = JsonNode.Parse(metadata.GetRawText());
        if (patch.ClearExpiresAt)
            body["expiration_date"] = null;
        else if (patch.ExpiresAt is { } expiry)
            body["expiration_date"] = LastDay(expiry);
        if (patch.ObservedAt is { } observed)
            body["timestamp"] = observed.ToUnixTimeSeconds();
        return await api.SendAsync(HttpMethod.Put, $"v1/memories/{id}/", body, ct) is null ? null : await FindAsync(caller, id, ct);
    }

    /// <exception cref="ProblemException">The patch is not in order, or Mem0 has nothing like it.</exception>
    internal void Check(MemoryPatch patch)
    {
        MemoryChanges.Check(patch, options.Value, time.GetUtcNow());
        if (patch.Categories is not null)
            throw Mem0Backend.NotThere("Setting categories");
    }

    /// <summary>New texts and metadata for memories that are known to be the caller's, in one call.</summary>
    internal Task EditAllAsync(IEnumerable<MemoryBatchEdit> edits, CancellationToken ct) =>
        api.SendAsync(HttpMethod.Put, "v1/batch/", new JsonObject { ["memories"] = new JsonArray([.. edits.Select(ToEntry)]) }, ct);

    /// <summary>The same for deletions.</summary>
    internal Task DeleteAllAsync(IEnumerable<MemoryId> ids, CancellationToken ct) => api.SendAsync(
        HttpMethod.Delete, "v1/batch/", new JsonObject { ["memories"] = new JsonArray([.. ids.Select(id => new JsonObject { ["memory_id"] = id.ToString() })]) }, ct);

    private static JsonObject ToEntry(MemoryBatchEdit edit)
    {
        var entry = new JsonObject { ["memory_id"] = edit.Id.ToString() };
        if (edit.Patch.Text is { } text)
            entry["text"] = text;
        if (edit.Patch.Metadata is { ValueKind: JsonValueKind.Object } metadata)
            entry["metadata"] = JsonNode.Parse(metadata.GetRawText());
        return entry;
    }

    internal async Task<bool> DeleteAsync(MemoryCaller caller, MemoryId id, CancellationToken ct) =>
        await FindAsync(caller, id, ct) is not null && await api.SendAsync(HttpMethod.Delete, $"v1/memories/{id}/", null, ct) is not null;

    /// <returns>How many there were.</returns>
    internal async Task<int> DeleteSubjectAsync(MemoryCaller caller, MemoryScope asked, CancellationToken ct)
    {
        var subject = caller.Bind(asked);
        AddRequestRules.CheckScope(subject);
        var (_, _, count) = await ListAsync(caller, SubjectFilter.Of(subject)!, expired: true, 1, 1, ct);
        await api.SendAsync(HttpMethod.Delete, $"v1/memories/?{OwnerSubjects.Query(caller.OwnerId, subject)}", null, ct);
        return count;
    }

    private static void RefuseWhatIsNotThere(AddMemoryRequest request)
    {
        var what = request switch
        {
            { DryRun: true } => "dryRun",
            { Kind: not MemoryKind.Fact } => "kind",
            { Source: not null } => "source",
            { Trust: not null } => "trust",
            { Categories: { Count: > 0 } } => "categories",
            _ => null,
        };
        if (what is not null)
            throw Mem0Backend.NotThere(what);
    }

    private static IEnumerable<MemoryMessage> Said(AddMemoryRequest request) => request.Messages ?? [new MemoryMessage("user", request.Text!)];

    /// <summary>Mem0 extracts behind an event; we wait for it as long as for a model of our own.</summary>
    private async Task<JsonObject> DoneAsync(string? eventId, CancellationToken ct)
    {
        var started = time.GetTimestamp();
        while (eventId is not null && time.GetElapsedTime(started) < options.Value.ExtractionTimeout)
        {
            var state = Object(await api.SendAsync(HttpMethod.Get, $"v1/event/{Uri.EscapeDataString(eventId)}/", null, ct));
            switch (OwnerSubjects.Text(state, "status"))
            {
                case "SUCCEEDED":
                    return state;
                case "FAILED":
                    throw new ProblemException(StatusCodes.Status502BadGateway, "mem0_extraction_failed", "Mem0 could not extract anything; nothing was stored.");
                default:
                    await Task.Delay(Poll, time, ct);
                    break;
            }
        }

        throw new ProblemException(StatusCodes.Status503ServiceUnavailable, Pending, "Mem0 is still extracting; what it finds is stored later.");
    }

    private static MemoryRow? Mine(MemoryCaller caller, JsonObject memory)
    {
        if (OwnerSubjects.Read(memory, caller.OwnerId) is not { } scope || !caller.Sees(scope)
            || !Guid.TryParse(OwnerSubjects.Text(memory, "id"), out var id) || OwnerSubjects.Text(memory, "memory") is not { } text)
            return null;
        var created = Moment(memory, "created_at") ?? DateTimeOffset.UnixEpoch;
        return new MemoryRow
        {
            Id = new MemoryId(id),
            Sequence = 0,
            Scope = scope,
            Kind = MemoryKind.Fact,
            Text = text,
            Metadata = (memory["metadata"] as JsonObject)?.ToJsonString(Mem0Shapes.Options) ?? "{}",
            Categories = [.. (memory["categories"] as JsonArray ?? []).OfType<JsonValue>().Select(category => category.ToString())],
            Trust = MemoryTrust.Inferred,
            Immutable = memory["immutable"] is JsonValue immutable && immutable.TryGetValue<bool>(out var flag) && flag,
            Status = MemoryStatus.Active,
            Version = 1,
            CreatedAt = created,
            UpdatedAt = Moment(memory, "updated_at") ?? created,
            ExpiresAt = OwnerSubjects.Text(memory, "expiration_date") is { } day ? Mem0Body.Expiry(day) : null,
            ValidFrom = created,
        };
    }

    private static MemoryAddition ToAddition(JsonObject result) => new(
        Guid.TryParse(OwnerSubjects.Text(result, "id"), out var id) ? new MemoryId(id) : default,
        (result["data"] is JsonObject data ? OwnerSubjects.Text(data, "memory") : null) ?? OwnerSubjects.Text(result, "memory") ?? string.Empty,
        OwnerSubjects.Text(result, "event") switch { "UPDATE" => MemoryChange.Updated, "DELETE" => MemoryChange.Deleted, _ => MemoryChange.Added });

    private static RankParts Parts(JsonObject memory) => memory["score_breakdown"] is JsonObject parts
        ? new RankParts { Dense = Number(parts, "semantic"), Bm25 = Number(parts, "bm25"), Entity = Number(parts, "entity") }
        : default;

    // Mem0 keeps days, and hides a memory when its day is over, in UTC.
    private static string LastDay(DateTimeOffset expiry) => expiry.UtcDateTime.TimeOfDay == TimeSpan.Zero
        ? expiry.UtcDateTime.AddDays(-1).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)
        : throw Mem0Backend.NotThere("An expiry with a time of day");

    private static IEnumerable<JsonObject> Results(JsonObject answer) => (answer["results"] as JsonArray ?? []).OfType<JsonObject>();

    private static JsonObject Object(JsonNode? answer) => answer as JsonObject ?? new JsonObject();

    private static double Number(JsonObject node, string name) => node[name] is JsonValue value && value.TryGetValue<double>(out var number) ? number : 0;

    private static DateTimeOffset? Moment(JsonObject node, string name) =>
        DateTimeOffset.TryParse(OwnerSubjects.Text(node, name), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var moment) ? moment : null;
}
