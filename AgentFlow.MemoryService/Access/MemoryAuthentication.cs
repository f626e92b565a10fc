using System.Security.Claims;
using System.Text.Encodings.Web;
using AgentFlow.ServiceDefaults.Tokens;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace AgentFlow.MemoryService.Access;

/// <summary>
/// The one scheme: <c>Authorization: Bearer</c> or <c>Token</c>, or <c>X-API-Key</c>, with an API key of ours or, as Bearer, an internal
/// token of the API. Internal tokens are taken only where <c>Auth:Keys</c> is set.
/// </summary>
internal sealed class MemoryAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder, ApiKeyStore keys, IServiceProvider services)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    internal const string SchemeName = "Memory";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (Credential() is not { } credential)
            return AuthenticateResult.NoResult();
        var caller = credential.StartsWith(ApiKeyStore.KeyPrefix, StringComparison.Ordinal)
            ? await keys.FindAsync(credential, Context.RequestAborted)
            : FromInternalToken(credential);
        if (caller is null)
            return AuthenticateResult.Fail("The credential is not valid.");
        Context.Features.Set(caller);
        var claims = caller.Scopes.Select(scope => new Claim("scope", scope)).Append(new Claim("sub", caller.OwnerId.ToString("D")));
        return AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(new ClaimsIdentity(claims, SchemeName)), SchemeName));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.StatusCode = StatusCodes.Status401Unauthorized;
        Response.Headers.WWWAuthenticate = Credential() is null ? "Bearer" : "Bearer error=\"invalid_token\"";
        return Mem0Refusal("Authentication credentials were not provided or are not valid.");
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        Response.StatusCode = StatusCodes.Status403Forbidden;
        return Mem0Refusal("This key may not do that.");
    }

    /// <summary>Mem0's clients read <c>detail</c>; elsewhere the edge writes problem details.</summary>
    private Task Mem0Refusal(string detail) => Context.GetEndpoint()?.Metadata.GetMetadata<Mem0.Mem0Route>() is null
        ? Task.CompletedTask
        : Mem0.Mem0Edge.Refuse(Response.StatusCode, detail).ExecuteAsync(Context);

    private MemoryCaller? FromInternalToken(string token) =>
        services.GetService<InternalTokens>()?.Validate(token) is { } caller
            ? new MemoryCaller(
                caller.OwnerId,
                [.. caller.Scopes.Where(scope => scope.StartsWith(AccessScopes.InternalPrefix, StringComparison.Ordinal)).Select(scope => scope[AccessScopes.InternalPrefix.Length..])])
            : null;

    // Raw: "Authorization: Token af_mem_..."
    private string? Credential()
    {
        var authorization = Request.Headers[HeaderNames.Authorization];
        if (authorization.Count == 1)
        {
            var text = authorization[0]!;
            var space = text.IndexOf(' ', StringComparison.Ordinal);
            if (space > 0 && (text.AsSpan(0, space).Equals("Bearer", StringComparison.OrdinalIgnoreCase) || text.AsSpan(0, space).Equals("Token", StringComparison.OrdinalIgnoreCase)))
                return text[(space + 1)..].Trim();
        }

        var key = Request.Headers["X-API-Key"];
        return key.Count == 1 && !string.IsNullOrWhiteSpace(key[0]) ? key[0]!.Trim() : null;
    }
}
