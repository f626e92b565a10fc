using System.Globalization;
using System.Text.Json.Nodes;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;

namespace AgentFlow.MemoryService.Mem0.Hosted;

/// <summary>Users, agents, apps and runs of the hosted API; here they are there as long as they have memories.</summary>
internal static class HostedEntities
{
    private const int MaxPageSize = 1_000;

    internal static void Map(IEndpointRouteBuilder mem0)
    {
        mem0.MapGet("/v1/entities/", ListAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: who has memories");
        mem0.MapGet("/v1/entities/filters/", FiltersAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: what can be filtered by");
        foreach (var type in SubjectStore.Types)
        {
            mem0.MapPost($"/v1/{type}s/", (HttpContext context, MemoryCaller caller, SubjectStore subjects, TimeProvider time, CancellationToken ct) => CreateAsync(type, context, caller, subjects, time, ct))
                .RequireAuthorization(Policies.Write).WithSummary($"Mem0: makes a {type} known");
        }

        foreach (var version in new[] { "v1", "v2" })
        {
            mem0.MapGet($"/{version}/entities/{{type}}/{{id}}/", GetAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0: one user, agent, app or run");
            mem0.MapDelete($"/{version}/entities/{{type}}/{{id}}/", DeleteAsync).RequireAuthorization(Policies.Write)
                .WithSummary("Mem0: deletes the memories of a user, agent, app or run");
        }
    }

    private static async Task<IResult> ListAsync(HttpContext context, MemoryCaller caller, SubjectStore subjects, CancellationToken ct)
    {
        var page = HostedMemories.PageNumber(context.Request.Query, "page") ?? 1;
        var size = HostedMemories.PageNumber(context.Request.Query, "page_size") ?? 100;
        if (size > MaxPageSize)
            throw Mem0Edge.Invalid($"page_size is 1 to {MaxPageSize}");
        var after = Mem0Pages.Cursor(context) is { } cursor ? SubjectStore.Position.Decode(cursor) ?? throw Mem0Edge.Invalid("cursor is not one of ours") : null;
        var found = await subjects.ListAsync(caller, after, after is null ? (page - 1) * size : 0, size + 1, ct);
        var shown = found.Take(size).Select(subject => subject.ToHosted(caller.OwnerId));
        var totals = await subjects.CountAsync(caller, ct);
        var envelope = Mem0Pages.Envelope(
            context, new JsonArray([.. shown]), totals.Values.Sum(), page, size, found.Count > size ? SubjectStore.Position.Of(found[size - 1]).Encode() : null);
        foreach (var type in SubjectStore.Types)
            envelope[$"total_{type}s"] = totals.GetValueOrDefault(type);
        return Mem0Edge.Json(envelope);
    }

    /// <summary>All names, row by row in the order of the types: this list has no pages.</summary>
    private static async Task FiltersAsync(HttpContext context, MemoryCaller caller, SubjectStore subjects, CancellationToken ct)
    {
        await using var answer = Mem0Edge.Start(context);
        answer.WriteStartObject();
        var open = -1;
        await subjects.ReadAllAsync(
            caller,
            async subject =>
            {
                Open(subject.Type);
                answer.WriteStringValue(subject.Name);
                await Mem0Edge.PassOnAsync(answer, ct);
            },
            ct);
        Open(null);
        answer.WriteEndObject();

        void Open(string? type)
        {
            while (open < SubjectStore.Types.Length && (open < 0 || SubjectStore.Types[open] != type))
            {
                if (open >= 0)
                    answer.WriteEndArray();
                if (++open < SubjectStore.Types.Length)
                    answer.WriteStartArray($"{SubjectStore.Types[open]}s");
            }
        }
    }

    /// <summary>Who has no memories yet needs no row: the answer says what is there, which may be none.</summary>
    private static async Task<IResult> CreateAsync(string type, HttpContext context, MemoryCaller caller, SubjectStore subjects, TimeProvider time, CancellationToken ct)
    {
        var name = (await Mem0Body.ReadAsync(context)).Required($"{type}_id");
        caller.Bind(SubjectStore.ToScope(type, name)!);
        var now = time.GetUtcNow();
        var known = await subjects.FindAsync(caller, type, name, ct) ?? new Subject(type, name, 0, now, now);
        return Mem0Edge.Json(known.ToHosted(caller.OwnerId), known.Memories == 0 ? StatusCodes.Status201Created : StatusCodes.Status200OK);
    }

    private static async Task<IResult> GetAsync(string type, string id, MemoryCaller caller, SubjectStore subjects, CancellationToken ct)
    {
        var subject = await subjects.FindAsync(caller, type.TrimEnd('s'), id, ct);
        return Mem0Edge.Json((subject ?? throw Mem0Edge.NotFound("Entity")).ToHosted(caller.OwnerId));
    }

    private static async Task<IResult> DeleteAsync(string type, string id, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        MemoryScope scope = SubjectStore.ToScope(type, id) ?? throw Mem0Edge.Invalid("The entity type is user, agent, app or run");

        // One memory may have several subjects: a client that deletes all of them one by one finds the later ones gone.
        var operation = await calls.DeleteSubjectAsync(caller, scope, ct);
        return Mem0Edge.Json(new JsonObject { ["message"] = "Entity deleted successfully!", ["event_id"] = operation.ToString("D") });
    }
}
