using AgentFlow.ApiService.Documents;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Tools;
using AgentFlow.ApiService.Tools.BuiltIn;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.ApiService.Agents;

/// <summary>The caller's agents and the installation's. An own agent may take an installed one's slug and then answers in its place.</summary>
internal static class AgentEndpoints
{
    public static void MapAgents(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/agents").WithTags("Agents").RequireAuthorization(Policies.Chat);
        group.MapGet("/", ListAsync).WithName("ListAgents").WithSummary("The agents that can be asked for, by slug");
        group.MapPost("/", CreateAsync).WithName("CreateAgent").WithSummary("Makes an agent of the caller's own").WithIdempotency();
        group.MapGet("/{slug}", GetAsync).WithName("GetAgent").WithSummary("One agent, newest version");
        group.MapGet("/{slug}/versions", VersionsAsync).WithName("ListAgentVersions").WithSummary("An own agent's versions, the newest first, at most 100");
        group.MapPut("/{slug}", PutAsync).WithName("PutAgent").WithSummary("Writes a new version of an own agent; with 'version' only if that is still the newest");
        routes.MapGet("/api/tools", Tools).WithTags("Agents").RequireAuthorization(Policies.ChatRead)
            .WithName("ListTools").WithSummary("The tools that agents can be granted now, by name");
        group.MapDelete("/{slug}", DeleteAsync).WithName("DeleteAgent").WithSummary("Deletes an own agent; an installed one of that slug answers again");
    }

    private static async Task<Ok<Page<AgentDefinition>>> ListAsync(Caller caller, AgentCatalog catalog, CancellationToken ct, int limit = 200, string? cursor = null)
    {
        var wanted = PageLimits.Page(limit);
        var rest = (await catalog.ListAsync(caller.Owner, ct)).Where(a => cursor is null || string.CompareOrdinal(a.Slug, cursor) > 0).ToList();
        return TypedResults.Ok(new Page<AgentDefinition>([.. rest.Take(wanted)], rest.Count > wanted ? rest[wanted - 1].Slug : null));
    }

    private static async Task<Results<Ok<AgentDefinition>, ProblemHttpResult>> GetAsync(string slug, Caller caller, AgentCatalog catalog, CancellationToken ct) =>
        IsSlug(slug) && await catalog.FindAsync(caller.Owner, slug, ct) is { } agent ? TypedResults.Ok(agent) : Problem.NotFound("agent");

    private static async Task<Results<Ok<Page<AgentDefinition>>, ProblemHttpResult>> VersionsAsync(string slug, Caller caller, AgentStore store, CancellationToken ct)
    {
        var versions = IsSlug(slug) ? await store.VersionsAsync(caller.Owner, slug, ct) : [];
        return versions.Count == 0 ? Problem.NotFound("agent of your own") : TypedResults.Ok(new Page<AgentDefinition>(versions));
    }

    private static Ok<Page<ToolSummary>> Tools(ToolCatalog tools) => TypedResults.Ok(new Page<ToolSummary>(tools.List()));

    private static async Task<Results<Created<AgentDefinition>, ProblemHttpResult>> CreateAsync(
        AgentDefinition agent, Caller caller, AgentStore store, DocumentAccess access, CancellationToken ct)
    {
        if (Faults(agent) is { } faults)
            return faults;
        if (!await access.SeesAllAsync(caller.Owner, agent.Retrieval.Collections, ct))
            return Problem.NotFound("collection");
        var (version, existing) = await store.FindAsync(caller.Owner, agent.Slug, ct);
        if (existing is not null || (await store.ListAsync(caller.Owner, ct)).Count >= AgentStore.MaxAgents)
            return existing is null
                ? Problem.Result(StatusCodes.Status409Conflict, "too_many_agents", $"An account has at most {AgentStore.MaxAgents} agents.")
                : Problem.Result(StatusCodes.Status409Conflict, "agent_exists", "An agent with this slug exists; PUT writes a new version of it.");
        return await store.WriteAsync(caller.Owner, agent.Slug, version, agent, ct)
            ? TypedResults.Created($"/api/agents/{agent.Slug}", (await store.FindAsync(caller.Owner, agent.Slug, ct)).Agent!)
            : Changed();
    }

    private static async Task<Results<Ok<AgentDefinition>, ProblemHttpResult>> PutAsync(
        string slug, AgentDefinition agent, Caller caller, AgentStore store, DocumentAccess access, CancellationToken ct)
    {
        if (agent.Slug != slug)
            return Problem.Invalid("slug", "The slug in the body must be the one in the address.");
        if (Faults(agent) is { } faults)
            return faults;
        if (!await access.SeesAllAsync(caller.Owner, agent.Retrieval.Collections, ct))
            return Problem.NotFound("collection");
        var (version, existing) = await store.FindAsync(caller.Owner, slug, ct);
        if (existing is null)
            return Problem.NotFound("agent of your own");
        return (agent.Version is 0 || agent.Version == version) && await store.WriteAsync(caller.Owner, slug, version, agent, ct)
            ? TypedResults.Ok((await store.FindAsync(caller.Owner, slug, ct)).Agent!)
            : Changed();
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(string slug, Caller caller, AgentStore store, CancellationToken ct)
    {
        var (version, existing) = IsSlug(slug) ? await store.FindAsync(caller.Owner, slug, ct) : default;
        return existing is null ? Problem.NotFound("agent of your own")
            : await store.WriteAsync(caller.Owner, slug, version, null, ct) ? TypedResults.NoContent()
            : Changed();
    }

    private static ProblemHttpResult Changed() => Problem.Result(StatusCodes.Status409Conflict, "agent_changed", "Somebody changed this agent meanwhile; read it again.");

    private static bool IsSlug(string slug) => slug.Length <= 64 && slug.All(c => char.IsAsciiLetterOrDigit(c) || c == '-');

    private static ProblemHttpResult? Faults(AgentDefinition agent)
    {
        var faults = AgentRules.Check(agent, BuiltInTools.Names);
        if (agent.Prompt is not null)
            faults = [.. faults, "prompt: found a file's name. Over the API, send the instructions themselves."];
        if (faults.Count == 0)
            return null;
        var byField = faults.GroupBy(f => f[..f.IndexOf(':', StringComparison.Ordinal)], StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.ToArray(), StringComparer.Ordinal);
        return Problem.Result(StatusCodes.Status400BadRequest, "invalid_request", "The agent's definition has faults; see errors.", byField);
    }
}
