using System.Text.Json.Nodes;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Search;

namespace AgentFlow.MemoryService.Mem0.Hosted;

/// <summary>
/// The hosted API's older forms: bare arrays, subjects beside the query. Microsoft Agent Framework's Mem0 client calls
/// <c>POST /v1/memories/search/</c> and <c>POST /v1/memories/</c> like this.
/// </summary>
internal static class HostedLegacy
{
    private const double NoThreshold = 0;

    internal static void Map(IEndpointRouteBuilder mem0)
    {
        mem0.MapPost("/v1/memories/", AddAsync).RequireAuthorization(Policies.Write).WithSummary("Mem0, old form: adds memories");
        mem0.MapGet("/v1/memories/", ListAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0, old form: lists a subject's memories");
        mem0.MapPost("/v1/memories/search/", SearchAsync).RequireAuthorization(Policies.Read).WithSummary("Mem0, old form: searches; answers an array");
        mem0.MapPost("/v2/memories/", ListV2Async).RequireAuthorization(Policies.Read).WithSummary("Mem0, old form: lists by filters; answers an array");
        mem0.MapPost("/v2/memories/search/", SearchV2Async).RequireAuthorization(Policies.Read).WithSummary("Mem0, old form: searches by filters; answers an array");
        mem0.MapGet("/v1/memories/{type:regex(^(user|agent|app|run)$)}/{id}/", OfEntityAsync).RequireAuthorization(Policies.Read)
            .WithSummary("Mem0, old form: the memories of a user, agent, app or run");
    }

    private static async Task<IResult> AddAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var body = await Mem0Body.ReadAsync(context);
        var added = await calls.AddAsync(caller, body, mayQueue: body.Flag("async_mode", whenAbsent: true), ct);
        if (added.Response is null)
        {
            var queued = new JsonObject
            {
                ["message"] = "Memory processing has been queued for background execution", ["status"] = "PENDING", ["event_id"] = added.EventId.ToString("D"),
            };
            return Mem0Edge.Json(IsNewer(body) ? new JsonObject { ["results"] = new JsonArray(queued) } : new JsonArray(queued));
        }

        var results = Mem0Shapes.HostedResults(added.Response);
        return Mem0Edge.Json(IsNewer(body) ? new JsonObject { ["results"] = results, ["relations"] = new JsonArray() } : results);
    }

    private static async Task<IResult> ListAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var query = context.Request.Query;
        var page = HostedMemories.PageNumber(query, "page");
        var size = HostedMemories.PageNumber(query, "page_size");
        var (rows, count, next) = await calls.PageAsync(
            caller, HostedMemories.Of(caller, caller.Bind(Mem0Filters.FromQuery(query))), expired: false, page ?? 1, size, Mem0Pages.Cursor(context), ct);
        var results = new JsonArray([.. rows.Select(Mem0Shapes.Hosted)]);
        return Mem0Edge.Json(page is null ? results : Mem0Pages.Envelope(context, results, count, page.Value, size ?? 100, next));
    }

    private static async Task<IResult> SearchAsync(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var body = await Mem0Body.ReadAsync(context);
        var results = Results(await calls.SearchAsync(caller, body, NoThreshold, defaultTopK: 10, ct), body);
        return Mem0Edge.Json(IsNewer(body) ? new JsonObject { ["results"] = results, ["relations"] = new JsonArray() } : results);
    }

    private static async Task<IResult> ListV2Async(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var body = await Mem0Body.ReadAsync(context);
        var page = HostedMemories.PageNumber(context.Request.Query, "page") ?? body.Whole("page");
        var size = HostedMemories.PageNumber(context.Request.Query, "page_size") ?? body.Whole("page_size");
        var (rows, count, next) = await calls.PageAsync(caller, Mem0Filters.Read(caller, body), body.Flag("show_expired"), page ?? 1, size, Mem0Pages.Cursor(context), ct);
        var results = new JsonArray([.. rows.Select(row => HostedMemories.Select(Mem0Shapes.Hosted(row), body))]);
        return Mem0Edge.Json(page is null ? results : Mem0Pages.Envelope(context, results, count, page.Value, size ?? 100, next));
    }

    private static async Task<IResult> SearchV2Async(HttpContext context, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var body = await Mem0Body.ReadAsync(context);
        return Mem0Edge.Json(Results(await calls.SearchAsync(caller, body, NoThreshold, defaultTopK: 10, ct), body));
    }

    private static async Task<IResult> OfEntityAsync(string type, string id, MemoryCaller caller, Mem0Calls calls, CancellationToken ct)
    {
        var scope = caller.Bind(SubjectStore.ToScope(type, id)!);
        var (rows, _, _) = await calls.PageAsync(caller, HostedMemories.Of(caller, scope), expired: false, 1, 1_000, cursor: null, ct);
        return Mem0Edge.Json(new JsonArray([.. rows.Select(Mem0Shapes.Hosted)]));
    }

    private static bool IsNewer(Mem0Body body) => body.Text("output_format") == "v1.1";

    private static JsonArray Results(MemoryFindings findings, Mem0Body body) =>
        new([.. findings.Ranked.Select(found => HostedMemories.Select(Mem0Shapes.Hosted(found), body))]);
}
