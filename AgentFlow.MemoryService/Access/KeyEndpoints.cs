using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.MemoryService.Access;

internal static class KeyEndpoints
{
    internal static void MapKeys(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/keys").RequireAuthorization(Policies.Admin).WithTags("Keys");
        group.MapGet("/", ListAsync).WithName("ListMemoryKeys").WithSummary("The owner's API keys, without the keys themselves");
        group.MapPost("/", CreateAsync).WithIdempotency(showsSecret: true).WithName("CreateMemoryKey").WithSummary("Makes a key; it is shown once")
            .ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status409Conflict);
        group.MapDelete("/{id}", RevokeAsync).WithIdempotency().WithName("RevokeMemoryKey").WithSummary("Revokes a key; it stops working within 5 s");
    }

    private static async Task<Ok<Page<MemoryKey>>> ListAsync(MemoryCaller caller, ApiKeyStore keys, CancellationToken ct) =>
        TypedResults.Ok(new Page<MemoryKey>(await keys.ListAsync(caller.OwnerId, ct)));

    private static async Task<Results<Created<CreatedMemoryKey>, ProblemHttpResult>> CreateAsync(
        NewMemoryKey key, HttpContext context, MemoryCaller caller, ApiKeyStore keys, TimeProvider time, CancellationToken ct)
    {
        if (Refuse(key, caller, time.GetUtcNow()) is { } problem)
            return problem;
        return await keys.CreateAsync(caller.OwnerId, new ApiKeyId(IdempotencyKey.DeriveId(context)), key, ct) is { } created
            ? TypedResults.Created($"/api/keys/{created.Key.Id}", created)
            : Problem.SecretShown();
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RevokeAsync(ApiKeyId id, MemoryCaller caller, ApiKeyStore keys, CancellationToken ct) =>
        await keys.RevokeAsync(caller.OwnerId, id, ct) ? TypedResults.NoContent() : Problem.NotFound("key");

    internal static ProblemHttpResult? Refuse(NewMemoryKey key, MemoryCaller caller, DateTimeOffset now) =>
        key.Name.Trim().Length is 0 or > 100 ? Problem.Invalid("name", "A key has a name of 1 to 100 characters.")
        : key.Scopes is { Count: 0 } || key.Scopes?.Except(AccessScopes.All, StringComparer.Ordinal).Any() == true
            ? Problem.Invalid("scopes", $"Scopes are some of {string.Join(", ", AccessScopes.All)}.")
        : key.Scopes?.Except(caller.Scopes, StringComparer.Ordinal).Any() == true
            ? Problem.Result(StatusCodes.Status403Forbidden, "scope_not_held", "A key can not be given more than its maker may do.")
        : caller.FixedSubject is not null && key.Subject != caller.FixedSubject
            ? Problem.Result(StatusCodes.Status403Forbidden, "subject_not_allowed", "This key is bound to a subject and makes only keys of the same subject.")
        : key.ExpiresAt <= now ? Problem.Invalid("expiresAt", "The key would have expired already.")
        : null;
}
