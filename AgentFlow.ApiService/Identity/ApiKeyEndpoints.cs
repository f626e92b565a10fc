using AgentFlow.ApiService.Edges;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Identity;

/// <summary>Handlers of <c>/api/auth/keys</c>; only for signed-in people, since a key that makes keys can not be taken back.</summary>
internal static class ApiKeyEndpoints
{
    private const int MaxNameLength = 100;
    private const int PageLimit = 100;

    public static async Task<Results<Ok<Page<ApiKeySummary>>, ProblemHttpResult>> ListAsync(
        Caller caller, ApiKeyStore keys, CancellationToken ct, int limit = PageLimit, string? cursor = null)
    {
        if (limit is < 1 or > PageLimit)
        {
            return Problem.Invalid("limit", $"1 to {PageLimit}.");
        }

        (DateTimeOffset, Guid)? after = null;
        if (cursor is not null && !TimeCursor.TryParse(cursor, out after))
        {
            return Problem.Invalid("cursor", "This is no cursor of this list.");
        }

        var items = await keys.ListAsync(caller.Owner, limit + 1, after, ct);
        return TypedResults.Ok(TimeCursor.Page(items, limit, key => (key.CreatedAt, key.Id.Value)));
    }

    public static async Task<Results<Created<ApiKeyCreated>, ProblemHttpResult>> CreateAsync(
        ApiKeyRequest request, Caller caller, ApiKeyStore keys, IOptions<IdentityOptions> options, TimeProvider time, HttpContext context, CancellationToken ct)
    {
        if (Problems(request, caller, time) is { } problem)
        {
            return problem;
        }

        var secret = Secrets.New(Secrets.ApiKeyPrefix);
        var (id, max) = (new ApiKeyId(IdempotencyKey.DeriveId(context)), options.Value.MaxApiKeysPerUser);
        if (await keys.CreateAsync(caller.Owner, id, request, secret, max, ClientAddress.Of(context), ct) is { } created)
        {
            return TypedResults.Created($"/api/auth/keys/{created.Id}", new ApiKeyCreated(created, secret));
        }

        return await keys.WasMadeAsync(caller.Owner, id, ct)
            ? Problem.SecretShown()
            : Problem.Result(StatusCodes.Status409Conflict, "too_many_keys", $"An account has at most {max} API keys. Revoke one first.");
    }

    public static async Task<Results<NoContent, ProblemHttpResult>> RevokeAsync(
        ApiKeyId id, Caller caller, ApiKeyStore keys, AccessStates states, HttpContext context, CancellationToken ct)
    {
        if (!await keys.RevokeAsync(caller.Owner, id, ClientAddress.Of(context), ct))
        {
            return Problem.NotFound("API key");
        }

        states.Forget();
        return TypedResults.NoContent();
    }

    private static ProblemHttpResult? Problems(ApiKeyRequest request, Caller caller, TimeProvider time) =>
        string.IsNullOrWhiteSpace(request.Name) || request.Name.Length > MaxNameLength ? Problem.Invalid("name", $"1 to {MaxNameLength} characters.")
        : request.Scopes.Count == 0 || request.Scopes.Distinct(StringComparer.Ordinal).Count() != request.Scopes.Count || request.Scopes.Except(ScopeWords.All, StringComparer.Ordinal).Any()
            ? Problem.Invalid("scopes", $"Any of {string.Join(", ", ScopeWords.All)}, each once.")
        : request.Scopes.Contains("admin", StringComparer.Ordinal) && !caller.IsAdmin ? Problem.Invalid("scopes", "Only administrators make keys with the scope admin.")
        : request.ExpiresAt <= time.GetUtcNow() ? Problem.Invalid("expiresAt", "This time is past.")
        : null;
}
