using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Events;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Search;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.MemoryService.Mem0.Hosted;

/// <summary>Events, feedback, exports, summary and counts of the hosted API, and what of it has no counterpart here.</summary>
internal static class HostedExtras
{
    /// <summary>An export is one row and one answer; more than this leaves by <c>POST /api/export</c>, which has no end.</summary>
    private const int MaxExported = 10_000;

    private const int DefaultEvents = 100;
    private const int MaxEvents = 1_000;

    internal static void Map(IEndpointRouteBuilder mem0)
    {
        mem0.MapGet("/v1/event/{id:guid}/", EventAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: how far an add is");
        mem0.MapGet("/v1/events/", EventsAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: what happened");
        mem0.MapPost("/v1/feedback/", FeedbackAsync).RequireAuthorization(Policies.Write).WithSummary("Mem0: an opinion on a memory");
        mem0.MapPost("/v1/exports/", ExportAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: makes an export");
        mem0.MapPost("/v1/exports/get/", ExportedAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: reads an export");
        mem0.MapPost("/v1/summary/", SummaryAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: a subject's memories as one text");
        mem0.MapGet("/v1/stats/", StatsAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: counts");
        MapMissing(mem0);
    }

    private static void MapMissing(IEndpointRouteBuilder mem0)
    {
        string[] missing =
        [
            "/api/v1/orgs/{**rest}", "/api/v1/webhooks/{**rest}", "/v2/profiles/{**rest}", "/v2/entities/user/{id}/profile/", "/configure/{**rest}", "/generate-instructions",
        ];
        string[] methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
        foreach (var path in missing)
            mem0.MapMethods(path, methods, () => (IResult)Mem0Edge.NotImplemented()).RequireAuthorization(Policies.Read).ExcludeFromDescription();
    }

    private static async Task<IResult> EventAsync(Guid id, MemoryCaller caller, EventReader events, CancellationToken ct)
    {
        var operation = await events.OperationAsync(caller, id, ct) ?? throw Mem0Edge.NotFound("Event");
        return Mem0Edge.Json(new JsonObject
        {
            ["id"] = id.ToString("D"),
            ["event_type"] = "ADD",
            ["status"] = operation.Status.ToUpperInvariant(),
            ["payload"] = null,
            ["metadata"] = null,
            ["results"] = operation.Result is { } result ? Mem0Shapes.HostedResults(result) : new JsonArray(),
            ["created_at"] = Mem0Shapes.Time(operation.CreatedAt),
            ["updated_at"] = Mem0Shapes.Time(operation.CompletedAt ?? operation.CreatedAt),
            ["started_at"] = Mem0Shapes.Time(operation.CreatedAt),
            ["completed_at"] = operation.CompletedAt is { } completed ? Mem0Shapes.Time(completed) : null,
            ["latency"] = operation.CompletedAt is { } end ? (end - operation.CreatedAt).TotalMilliseconds : null,
            ["graph_status"] = null,
            ["error"] = operation.Error,
        });
    }

    private static async Task<IResult> EventsAsync(HttpContext context, MemoryCaller caller, EventReader events, CancellationToken ct)
    {
        var page = HostedMemories.PageNumber(context.Request.Query, "page") ?? 1;
        var size = HostedMemories.PageNumber(context.Request.Query, "page_size") ?? DefaultEvents;
        if (size > MaxEvents)
            throw Mem0Edge.Invalid($"page_size is 1 to {MaxEvents}");
        var before = Mem0Pages.Sequence(Mem0Pages.Cursor(context));
        var (operations, last) = await events.OperationsAsync(caller, before, before is null ? (page - 1) * size : 0, size, ct);
        var results = operations.Select(operation => new JsonObject
        {
            ["id"] = operation[0].OperationId.ToString("D"),
            ["event_type"] = operation[0].Change switch { MemoryChange.Deleted => "DELETE", MemoryChange.Updated => "UPDATE", _ => "ADD" },
            ["status"] = "SUCCEEDED",
            ["results"] = new JsonArray([.. operation.Select(row => new JsonObject { ["id"] = row.MemoryId.ToString(), ["data"] = new JsonObject { ["memory"] = row.NewText ?? row.OldText } })]),
            ["created_at"] = Mem0Shapes.Time(operation[0].At),
        });
        return Mem0Edge.Json(Mem0Pages.Envelope(
            context, new JsonArray([.. results]), await events.CountOperationsAsync(caller, ct), page, size, last is { } end ? Memories.SequenceCursor.Encode(end) : null));
    }

    private static async Task<IResult> FeedbackAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, ExportStore store, CancellationToken ct)
    {
        var body = await Mem0Body.ReadAsync(context);
        var feedback = body.Text("feedback");
        if (feedback is not (null or "POSITIVE" or "NEGATIVE" or "VERY_NEGATIVE"))
            throw Mem0Edge.Invalid("feedback must be POSITIVE, NEGATIVE, VERY_NEGATIVE or null");
        var memory = await calls.GetAsync(caller, body.Required("memory_id"), ct);
        var reason = body.Text("feedback_reason");
        if (reason?.Length > 4_000 || reason?.Contains('\0', StringComparison.Ordinal) == true)
            throw Mem0Edge.Invalid("feedback_reason is text of at most 4,000 characters");
        await store.SaveFeedbackAsync(caller, memory.Id, feedback, reason, ct);
        return Mem0Edge.Json(new JsonObject
        {
            ["message"] = "Feedback saved", ["memory_id"] = memory.Id.ToString(), ["feedback"] = feedback, ["feedback_reason"] = reason,
        });
    }

    private static async Task<IResult> ExportAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, ExportStore store, CancellationToken ct)
    {
        var body = await Mem0Body.ReadAsync(context);
        if (body.Get("schema") is not { } schema)
            throw Mem0Edge.Invalid("schema is required");
        CheckStorable("schema", schema);
        CheckStorable("filters", body.Get("filters"));
        var rows = await calls.AllAsync(caller, Mem0Filters.Read(caller, body, mustBind: false), MaxExported, ct);

        // The platform fills the schema with a model; here an export holds the memories themselves, with the schema beside them.
        var export = new JsonObject { ["memories"] = new JsonArray([.. rows.Select(Mem0Shapes.Hosted)]), ["schema"] = JsonNode.Parse(schema.GetRawText()) };
        var id = await store.SaveAsync(caller, body.Get("filters"), export, ct);
        return Mem0Edge.Json(new JsonObject { ["message"] = "Memory export request received. The export will be ready in a few seconds.", ["id"] = id.ToString("D") }, StatusCodes.Status201Created);
    }

    private static async Task<IResult> ExportedAsync(HttpContext context, MemoryCaller caller, ExportStore store, CancellationToken ct)
    {
        var body = await Mem0Body.ReadAsync(context);
        Guid? id = body.Text("memory_export_id") is not { } text ? null
            : Guid.TryParse(text, out var parsed) ? parsed : throw Mem0Edge.NotFound("Memory export");
        CheckStorable("filters", body.Get("filters"));
        var export = await store.FindAsync(caller, id, body.Get("filters"), ct) ?? throw Mem0Edge.NotFound("Memory export");
        return Mem0Edge.Json(JsonNode.Parse(export)!);
    }

    private static void CheckStorable(string member, JsonElement? value)
    {
        if (value is { } given && JsonBounds.Refusal(given) is { } refusal)
            throw Mem0Edge.Invalid($"{member} {refusal}");
    }

    private static async Task<IResult> SummaryAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var body = await Mem0Body.ReadAsync(context);
        var rows = await calls.AllAsync(caller, Mem0Filters.Read(caller, body), MaxExported, ct);
        return Mem0Edge.Json(new JsonObject { ["summary"] = string.Join('\n', rows.Select(row => row.Text)) });
    }

    private static async Task<IResult> StatsAsync(MemoryCaller caller, Mem0Calls calls, SubjectStore subjects, CancellationToken ct)
    {
        var (_, count, _) = await calls.PageAsync(caller, caller.Condition(), expired: false, 1, 1, cursor: null, ct);
        var totals = await subjects.CountAsync(caller, ct);
        var answer = new JsonObject { ["total_memories"] = count };
        foreach (var type in SubjectStore.Types)
            answer[$"total_{type}s"] = totals.GetValueOrDefault(type);
        return Mem0Edge.Json(answer);
    }
}
