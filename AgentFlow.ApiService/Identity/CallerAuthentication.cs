using System.Text.Encodings.Web;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Tokens;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Identity;

/// <summary>
/// The one way in: <c>Authorization: Bearer</c> with an access token or an API key (<c>af_...</c>), or <c>X-API-Key</c>. Never the address
/// bar, never a cookie; two credentials at once are refused.
/// </summary>
internal sealed partial class CallerAuthentication(
    JwtCodec codec, AccessStates states, IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    public const string SchemeName = "AgentFlow";

    private const string ApiKeyHeader = "X-API-Key";
    private const string Bearer = "Bearer ";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var authorization = Request.Headers.Authorization;
        var apiKey = Request.Headers[ApiKeyHeader];
        if (authorization.Count + apiKey.Count == 0)
        {
            return AuthenticateResult.NoResult();
        }

        if (authorization.Count + apiKey.Count > 1)
        {
            return Refuse("two credentials");
        }

        var credential = apiKey.Count == 1 ? apiKey[0] ?? "" : FromBearer(authorization[0] ?? "");
        if (credential is null)
        {
            return Refuse("not a bearer token");
        }

        var caller = await OfAsync(credential, isKey: apiKey.Count == 1);
        return caller is { } known
            ? AuthenticateResult.Success(new AuthenticationTicket(new CallerPrincipal(known), SchemeName))
            : Refuse("not valid");
    }

    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        var result = await HandleAuthenticateOnceSafeAsync();
        Response.Headers.WWWAuthenticate = result.Failure is null ? "Bearer" : "Bearer error=\"invalid_token\"";
        await (result.Failure is null
            ? Problem.WriteAsync(Context, StatusCodes.Status401Unauthorized, "unauthorized", "Sign in, or send a token or an API key.")
            : Problem.WriteAsync(Context, StatusCodes.Status401Unauthorized, "invalid_token", "The token or API key is not valid, or not any more."));
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        if (Context.User is CallerPrincipal { Caller.KeyId: not null })
        {
            Response.Headers.WWWAuthenticate = "Bearer error=\"insufficient_scope\"";
            return Problem.WriteAsync(Context, StatusCodes.Status403Forbidden, "insufficient_scope", "This API key may not do that.");
        }

        return Problem.WriteAsync(Context, StatusCodes.Status403Forbidden, "forbidden", "This account may not do that.");
    }

    private async Task<Caller?> OfAsync(string credential, bool isKey)
    {
        if (isKey || credential.StartsWith(Secrets.ApiKeyPrefix, StringComparison.Ordinal))
        {
            return await states.OfKeyAsync(credential, Context.RequestAborted);
        }

        var claims = codec.Validate(credential, TokenProfile.Access, out var refusal);
        if (claims is null)
        {
            LogRefused(Logger, refusal);
            return null;
        }

        return await states.OfSessionAsync(claims, Context.RequestAborted);
    }

    private static string? FromBearer(string header) =>
        header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? header[Bearer.Length..] : null;

    private static AuthenticateResult Refuse(string why) => AuthenticateResult.Fail(why);

    [LoggerMessage(Level = LogLevel.Debug, Message = "An access token was refused: {Reason}")]
    private static partial void LogRefused(ILogger logger, TokenRefusal reason);
}
