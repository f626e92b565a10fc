using System.Text.Json.Nodes;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Mem0.Hosted;
using AgentFlow.MemoryService.Memories;

namespace AgentFlow.MemoryService.Mem0.SelfHosted;

/// <summary>The memory routes of Mem0's self-hosted server. Its administrator is a key with the scope admin.</summary>
internal static class SelfHostedEndpoints
{
    private const double DefaultThreshold = 0.1;
    private const int DefaultTopK = 20;
    private const int MaxListed = 1_000;

    internal static void Map(IEndpointRouteBuilder mem0)
    {
        mem0.MapPost("/memories", AddAsync).RequireAuthorization(Policies.Write).WithSummary("Mem0 server: adds memories");
        mem0.MapGet("/memories", ListAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0 server: lists a subject's memories");
        mem0.MapGet("/memories/{id}", GetAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0 server: one memory, or null");
        mem0.MapPost("/search", SearchAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0 server: searches");
        mem0.MapPut("/memories/{id}", UpdateAsync).RequireAuthorization(Policies.Write).WithSummary("Mem0 server: edits a memory");
        mem0.MapDelete("/memories/{id}", DeleteAsync).RequireAuthorization(Policies.Write).WithSummary("Mem0 server: deletes a memory");
        mem0.MapDelete("/memories", DeleteAllAsync).RequireAuthorization(Policies.Admin).WithSummary("Mem0 server: deletes a subject's memories");
        mem0.MapGet("/memories/{id}/history", HistoryAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0 server: a memory's history");
        mem0.MapPost("/reset", ResetAsync).RequireAuthorization(Policies.Admin).WithSummary("Mem0 server: deletes every memory of the key's owner");
        mem0.MapGet("/entities", EntitiesAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0 server: who has memories");
        mem0.MapDelete("/entities/{type}/{id}", DeleteEntityAsync).RequireAuthorization(Policies.Admin).WithSummary("Mem0 server: deletes a subject");
    }

    private static async Task<IResult> AddAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var added = await calls.AddAsync(caller, await Mem0Body.ReadAsync(context), mayQueue: false, ct);
        return Mem0Edge.Json(new JsonObject { ["results"] = Mem0Shapes.SelfHostedResults(added.Response!) });
    }

    private static async Task<IResult> ListAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var query = context.Request.Query;
        var scope = caller.Bind(Mem0Filters.FromQuery(query));
        if (SubjectFilter.IsEmpty(scope) && !caller.May(AccessScopes.Admin))
            return Mem0Edge.Refuse(StatusCodes.Status403Forbidden, "Listing all memories requires an admin");
        var size = HostedMemories.PageNumber(query, "top_k") ?? HostedMemories.PageNumber(query, "limit") ?? MaxListed;
        var expired = string.Equals(query["show_expired"], "true", StringComparison.OrdinalIgnoreCase);
        var (rows, _, _) = await calls.PageAsync(caller, HostedMemories.Of(caller, scope), expired, 1, Math.Min(size, MaxListed), cursor: null, ct);
        return Mem0Edge.Json(new JsonObject { ["results"] = new JsonArray([.. rows.Select(Mem0Shapes.SelfHosted)]) });
    }

    private static async Task<IResult> GetAsync(string id, MemoryCaller caller, MemoryChanges memories, CancellationToken ct)
    {
        var row = Guid.TryParse(id, out var value) ? await memories.FindAsync(caller, new Contracts.MemoryId(value), ct) : null;
        return row is { Status: not MemoryStatus.Deleted } ? Mem0Edge.Json(Mem0Shapes.SelfHosted(row)) : TypedResults.Text("null", "application/json");
    }

    private static async Task<IResult> SearchAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var body = await Mem0Body.ReadAsync(context);
        var findings = await calls.SearchAsync(caller, body, DefaultThreshold, DefaultTopK, ct);
        var explain = body.Flag("explain");
        return Mem0Edge.Json(new JsonObject { ["results"] = new JsonArray([.. findings.Ranked.Select(found => Mem0Shapes.SelfHosted(found, explain))]) });
    }

    private static async Task<IResult> UpdateAsync(string id, HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        await calls.UpdateAsync(caller, id, await Mem0Body.ReadAsync(context), ct);
        return Message("Memory updated successfully!");
    }

    private static async Task<IResult> DeleteAsync(string id, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        await calls.DeleteAsync(caller, id, ct);
        return Message("Memory deleted successfully");
    }

    private static async Task<IResult> DeleteAllAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        await calls.DeleteSubjectAsync(caller, Mem0Filters.FromQuery(context.Request.Query), ct);
        return Message("All relevant memories deleted");
    }

    private static async Task<IResult> HistoryAsync(string id, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var (_, history) = await calls.HistoryAsync(caller, id, ct);
        return Mem0Edge.Json(new JsonArray([.. history.Select(Mem0Shapes.SelfHostedHistory)]));
    }

    private static async Task<IResult> ResetAsync(MemoryCaller caller, MemoryChanges memories, CancellationToken ct)
    {
        await memories.DeleteMatchingAsync(caller, filter: null, Guid.CreateVersion7(), ct);
        return Message("All memories reset");
    }

    /// <summary>All of them, row by row: this list has no pages.</summary>
    private static async Task EntitiesAsync(HttpContext context, MemoryCaller caller, SubjectStore subjects, CancellationToken ct)
    {
        await using var answer = Mem0Edge.Start(context);
        answer.WriteStartArray();
        await subjects.ReadAllAsync(
            caller,
            async subject =>
            {
                if (subject.Type != "app")
                    subject.ToSelfHosted().WriteTo(answer);
                await Mem0Edge.PassOnAsync(answer, ct);
            },
            ct);
        answer.WriteEndArray();
    }

    private static async Task<IResult> DeleteEntityAsync(string type, string id, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        MemoryScope scope = SubjectStore.ToScope(type, id) ?? throw Mem0Edge.Invalid("The entity type is user, agent or run");
        await calls.DeleteSubjectAsync(caller, scope, ct);
        return Message("Entity deleted");
    }

    private static IResult Message(string text) => Mem0Edge.Json(new JsonObject { ["message"] = text });
}
