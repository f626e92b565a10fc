using System.Text.Json.Nodes;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.MemoryService.Mem0.Hosted;

/// <summary>The hosted API's routes for memories, as the current clients call them.</summary>
internal static class HostedMemories
{
    private const double DefaultThreshold = 0.1;
    private const int MaxBatch = 1_000;

    internal static void Map(IEndpointRouteBuilder mem0)
    {
        mem0.MapGet("/v1/ping/", Ping).RequireAuthorization(Policies.Read).WithSummary("Says whose key this is");
        mem0.MapPost("/v3/memories/add/", AddAsync).RequireAuthorization(Policies.Write).WithSummary("Mem0: adds memories");
        mem0.MapPost("/v3/memories/search/", SearchAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: searches");
        mem0.MapPost("/v3/memories/", ListAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: lists in pages");
        mem0.MapGet("/v1/memories/{id:guid}/", GetAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: one memory");
        mem0.MapPut("/v1/memories/{id:guid}/", UpdateAsync).RequireAuthorization(Policies.Write).WithSummary("Mem0: edits a memory");
        mem0.MapDelete("/v1/memories/{id:guid}/", DeleteAsync).RequireAuthorization(Policies.Write).WithSummary("Mem0: deletes a memory");
        mem0.MapGet("/v1/memories/{id:guid}/history/", HistoryAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: a memory's history");
        mem0.MapDelete("/v1/memories/", DeleteAllAsync).RequireAuthorization(Policies.Write).WithSummary("Mem0: deletes a subject's memories");
        mem0.MapPut("/v1/batch/", BatchUpdateAsync).RequireAuthorization(Policies.Write).WithSummary("Mem0: edits up to 1,000 memories");
        mem0.MapDelete("/v1/batch/", BatchDeleteAsync).RequireAuthorization(Policies.Write).WithSummary("Mem0: deletes up to 1,000 memories");
    }

    private static IResult Ping(MemoryCaller caller) => Mem0Edge.Json(new JsonObject
    {
        ["status"] = "ok",
        ["org_id"] = caller.OwnerId.ToString("D"),
        ["project_id"] = caller.OwnerId.ToString("D"),
        ["user_email"] = $"{caller.OwnerId:D}@agentflow.invalid",
    });

    private static async Task<IResult> AddAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var added = await calls.AddAsync(caller, await Mem0Body.ReadAsync(context), mayQueue: true, ct);
        var answer = new JsonObject
        {
            ["message"] = added.Response is null ? "Memory processing has been queued for background execution" : "Memories have been added",
            ["status"] = added.Response is null ? "PENDING" : "SUCCEEDED",
            ["event_id"] = added.EventId.ToString("D"),
        };
        if (added.Response is not null)
            answer["results"] = Mem0Shapes.HostedResults(added.Response);
        return Mem0Edge.Json(answer);
    }

    private static async Task<IResult> SearchAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var body = await Mem0Body.ReadAsync(context);
        var findings = await calls.SearchAsync(caller, body, DefaultThreshold, defaultTopK: 10, ct);
        return Mem0Edge.Json(new JsonObject { ["results"] = new JsonArray([.. findings.Ranked.Select(found => Select(Mem0Shapes.Hosted(found), body))]) });
    }

    private static async Task<IResult> ListAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var body = await Mem0Body.ReadAsync(context);
        var page = PageNumber(context.Request.Query, "page") ?? body.Whole("page") ?? 1;
        var size = PageNumber(context.Request.Query, "page_size") ?? body.Whole("page_size");
        var (rows, count, next) = await calls.PageAsync(caller, Mem0Filters.Read(caller, body), body.Flag("show_expired"), page, size, Mem0Pages.Cursor(context), ct);
        return Mem0Edge.Json(Mem0Pages.Envelope(context, new JsonArray([.. rows.Select(row => Select(Mem0Shapes.Hosted(row), body))]), count, page, size ?? 100, next));
    }

    private static async Task<IResult> GetAsync(string id, MemoryCaller caller, Mem0Calls calls, CancellationToken ct) =>
        Mem0Edge.Json(Mem0Shapes.Hosted(await calls.GetAsync(caller, id, ct)));

    private static async Task<IResult> UpdateAsync(string id, HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct) =>
        Mem0Edge.Json(Mem0Shapes.Hosted(await calls.UpdateAsync(caller, id, await Mem0Body.ReadAsync(context), ct)));

    private static async Task<IResult> DeleteAsync(string id, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        await calls.DeleteAsync(caller, id, ct);
        return Mem0Edge.Json(new JsonObject { ["message"] = "Memory deleted successfully!", ["cascade_count"] = 0 });
    }

    private static async Task<IResult> HistoryAsync(string id, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var (memory, history) = await calls.HistoryAsync(caller, id, ct);
        return Mem0Edge.Json(new JsonArray([.. history.Select(row => Mem0Shapes.HostedHistory(row, memory))]));
    }

    private static async Task<IResult> DeleteAllAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var operation = await calls.DeleteSubjectAsync(caller, Mem0Filters.FromQuery(context.Request.Query), ct);
        return Mem0Edge.Json(new JsonObject { ["message"] = "Memories deleted successfully!", ["event_id"] = operation.ToString("D") });
    }

    private static async Task<IResult> BatchUpdateAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var entries = Entries(await Mem0Body.ReadAsync(context));
        await calls.CheckThereAsync(caller, entries.ConvertAll(entry => entry.Required("memory_id")), ct);
        foreach (var entry in entries)
            await calls.UpdateAsync(caller, entry.Required("memory_id"), entry, ct);
        return Mem0Edge.Json(new JsonObject { ["message"] = $"Successfully updated {entries.Count} memories" });
    }

    private static async Task<IResult> BatchDeleteAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var entries = Entries(await Mem0Body.ReadAsync(context));
        var ids = await calls.CheckThereAsync(caller, entries.ConvertAll(entry => entry.Required("memory_id")), ct);
        await calls.DeleteManyAsync(caller, ids, ct);
        return Mem0Edge.Json(new JsonObject { ["message"] = $"Successfully deleted {entries.Count} memories" });
    }

    private static List<Mem0Body> Entries(Mem0Body body)
    {
        var entries = body.List("memories").Where(entry => entry.ValueKind == System.Text.Json.JsonValueKind.Object).Select(entry => new Mem0Body(entry)).ToList();
        return entries.Count is > 0 and <= MaxBatch ? entries : throw Mem0Edge.Invalid($"memories holds 1 to {MaxBatch} entries");
    }

    /// <summary>Only the members that <c>fields</c> names, the id always; everything when it names none.</summary>
    internal static JsonNode Select(JsonObject memory, Mem0Body body)
    {
        if (body.Texts("fields") is not { Count: > 0 } fields)
            return memory;
        foreach (var name in memory.Select(member => member.Key).Where(name => name != "id" && !fields.Contains(name, StringComparer.Ordinal)).ToList())
            memory.Remove(name);
        return memory;
    }

    internal static int? PageNumber(IQueryCollection query, string name)
    {
        if (!query.TryGetValue(name, out var value) || string.IsNullOrEmpty(value))
            return null;
        return int.TryParse(value, System.Globalization.CultureInfo.InvariantCulture, out var number) && number is > 0 and < 1_000_000
            ? number
            : throw Mem0Edge.Invalid($"{name} must be a positive number");
    }

    /// <summary>What the caller may see of a subject.</summary>
    internal static FilterExpression? Of(MemoryCaller caller, Contracts.Memories.MemoryScope scope) =>
        FilterExpression.AllOf(caller.Condition(), SubjectFilter.Of(scope));
}
