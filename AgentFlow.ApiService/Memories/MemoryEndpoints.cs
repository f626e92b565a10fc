using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.ApiService.Tasks;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Health;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.Extensions;

namespace AgentFlow.ApiService.Memories;

/// <summary>
/// <c>/api/memories</c>: the caller's own memories, kept by the memory service. The user that they are about is always the account; a request that
/// names another is refused, not corrected.
/// </summary>
internal static class MemoryEndpoints
{
    /// <summary>As much as the memory service takes.</summary>
    private const long MaxImportBytes = 256L << 20;

    private static readonly string[] ListingParameters = ["agentId", "sessionId", "appId", "filter", "asOf", "superseded", "expired", "pending", "limit", "cursor"];

    public static WebApplicationBuilder AddMemories(this WebApplicationBuilder builder)
    {
        builder.Services.AddServiceHttpClient<MemoryForwarder>("memory", MemoryForwarder.Timeout);
        builder.Services.AddServiceHttpClient<MemoryCheck>("memory", MemoryCheck.Timeout).RemoveAllLoggers();
        builder.Services.AddTransient<IReadinessCheck>(provider => provider.GetRequiredService<MemoryCheck>());
        return builder;
    }

    public static WebApplication MapMemories(this WebApplication app)
    {
        var memories = app.MapGroup("/api/memories").WithTags("Memories").RequireAuthorization(Policies.Memory);
        memories.MapGet("/", ListAsync).WithName("ListOwnMemories").WithSummary("What is remembered about the caller, newest first");
        memories.MapPost("/", AddAsync).WithName("AddOwnMemory").WithSummary("Remember something about the caller");
        memories.MapDelete("/", ForgetAllAsync).WithName("DeleteOwnMemories").WithSummary("Forget everything about the caller, or of one agent or session");
        memories.MapGet("/{id}", GetAsync).WithName("GetOwnMemory").WithSummary("One memory");
        memories.MapPatch("/{id}", PatchAsync).WithName("EditOwnMemory").WithSummary("Change a memory; the old text stays in its history");
        memories.MapDelete("/{id}", DeleteAsync).WithName("DeleteOwnMemory").WithSummary("Forget one memory");
        memories.MapGet("/{id}/history", HistoryAsync).WithName("OwnMemoryHistory").WithSummary("Everything that happened to a memory");

        memories.MapGet("/review", ReviewAsync).WithName("ListOwnReview").WithSummary("What waits for the caller's word before it is used, newest first");
        memories.MapPost("/review/{id}", DecideAsync).WithName("DecideOwnReview").WithSummary("Approve a memory, as it is or edited, or reject it");
        memories.MapPost("/export", ExportAsync).Streams().WithName("ExportOwnMemories").WithSummary("Everything remembered about the caller, with versions and history");
        memories.MapPost("/import", ImportAsync).Streams().TakeBodyOf(MaxImportBytes).LimitAs(LimitKind.Upload).WithName("ImportOwnMemories").Accepts<MemoryExport>("application/json")
            .WithSummary("Takes in an export of AgentFlow or of Mem0 as memories of the caller");
        memories.MapPost("/erase", EraseAsync).WithName("EraseOwnMemories").WithSummary("Remove everything about the caller from every place; answers with a receipt");

        app.MapPost("/api/memories/search", SearchAsync).WithTags("Memories").RequireAuthorization(Policies.MemoryRead)
            .WithName("SearchOwnMemories").WithSummary("Find the caller's memories by meaning and words");
        return app;
    }

    private static Task ListAsync(Caller caller, MemoryForwarder memory, HttpContext context) =>
        memory.SendAsync(context, caller.Owner, HttpMethod.Get, "/api/memories" + OwnQuery(caller, context), null);

    private static Task ForgetAllAsync(Caller caller, MemoryForwarder memory, HttpContext context) =>
        memory.SendAsync(context, caller.Owner, HttpMethod.Delete, "/api/memories" + OwnQuery(caller, context), null);

    private static Task AddAsync(JsonElement body, Caller caller, MemoryForwarder memory, HttpContext context)
    {
        var request = Object(body);
        Own(request, caller);
        return memory.SendAsync(context, caller.Owner, HttpMethod.Post, "/api/memories", request);
    }

    private static Task SearchAsync(JsonElement body, Caller caller, MemoryForwarder memory, HttpContext context)
    {
        var request = Object(body);
        var own = new JsonObject { ["userId"] = caller.Owner.ToString() };
        request["filter"] = request["filter"] is { } given ? new JsonObject { ["AND"] = new JsonArray(own, given.DeepClone()) } : own;
        return memory.SendAsync(context, caller.Owner, HttpMethod.Post, "/api/memories/search", request);
    }

    private static Task GetAsync(MemoryId id, Caller caller, MemoryForwarder memory, HttpContext context) =>
        memory.SendAsync(context, caller.Owner, HttpMethod.Get, $"/api/memories/{id}", null);

    private static Task PatchAsync(MemoryId id, JsonElement body, Caller caller, MemoryForwarder memory, HttpContext context) =>
        memory.SendAsync(context, caller.Owner, HttpMethod.Patch, $"/api/memories/{id}", Object(body));

    private static Task DeleteAsync(MemoryId id, Caller caller, MemoryForwarder memory, HttpContext context) =>
        memory.SendAsync(context, caller.Owner, HttpMethod.Delete, $"/api/memories/{id}", null);

    private static Task HistoryAsync(MemoryId id, Caller caller, MemoryForwarder memory, HttpContext context) =>
        memory.SendAsync(context, caller.Owner, HttpMethod.Get, $"/api/memories/{id}/history", null);

    private static Task ReviewAsync(Caller caller, MemoryForwarder memory, HttpContext context) =>
        memory.SendAsync(context, caller.Owner, HttpMethod.Get, "/api/review" + OwnQuery(caller, context), null);

    private static Task DecideAsync(MemoryId id, JsonElement body, Caller caller, MemoryForwarder memory, HttpContext context) =>
        memory.SendAsync(context, caller.Owner, HttpMethod.Post, $"/api/review/{id}", Object(body));

    private static Task ExportAsync(Caller caller, MemoryForwarder memory, HttpContext context) =>
        memory.SendAsync(context, caller.Owner, HttpMethod.Post, "/api/export", new JsonObject { ["userId"] = caller.Owner.ToString() });

    /// <summary>The memory service looks through all of it before it stores anything; whoever the memories were about, they are the caller's now.</summary>
    private static Task ImportAsync(Caller caller, MemoryForwarder memory, HttpContext context) =>
        memory.PassAsync(context, caller.Owner, $"/api/import?userId={caller.Owner}");

    private static async Task EraseAsync(Caller caller, MemoryForwarder memory, TaskFiles files, HttpContext context)
    {
        await files.ForgetMemoriesAsync(caller.Owner.Value, context.RequestAborted);
        await memory.SendAsync(context, caller.Owner, HttpMethod.Post, "/api/subjects/erase", new JsonObject { ["userId"] = caller.Owner.ToString() });
    }

    private static string OwnQuery(Caller caller, HttpContext context)
    {
        var query = context.Request.Query;
        if (query.ContainsKey("userId"))
            throw Refused();
        var own = new QueryBuilder { { "userId", caller.Owner.ToString() } };
        foreach (var name in ListingParameters.Where(query.ContainsKey))
            own.Add(name, query[name].ToString());
        return own.ToString();
    }

    private static void Own(JsonObject request, Caller caller)
    {
        if (request.ContainsKey("userId"))
            throw Refused();
        request["userId"] = caller.Owner.ToString();
    }

    private static JsonObject Object(JsonElement body) => body.ValueKind is JsonValueKind.Object
        ? JsonObject.Create(body)!
        : throw new ProblemException(StatusCodes.Status400BadRequest, "invalid_request", "Send a JSON object.");

    private static ProblemException Refused() =>
        new(StatusCodes.Status400BadRequest, "invalid_request", "userId is always the signed-in account here; leave it out.");
}
