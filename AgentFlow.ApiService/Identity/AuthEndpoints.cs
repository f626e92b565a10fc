using AgentFlow.ApiService.Edges;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Identity;

/// <summary>Accounts and sign-ins, <c>/api/auth</c>.</summary>
internal static class AuthEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var open = routes.MapGroup("/api/auth").WithTags("Auth").RequireAuthorization(Policies.Anonymous);
        open.MapGet("/registration", RegistrationAsync).WithName("GetRegistration").WithSummary("Who may register, and whether the first account is missing");
        open.MapPost("/register", RegisterAsync).WithName("Register").WithSummary("Make an account and sign in");
        open.MapPost("/login", LoginAsync).WithName("Login").WithSummary("Sign in");
        open.MapPost("/refresh", RefreshAsync).WithName("Refresh").WithSummary("Exchange a refresh token for new tokens; each is good once");

        var session = routes.MapGroup("/api/auth").WithTags("Auth").RequireAuthorization(Policies.Session);
        session.MapPost("/logout", LogoutAsync).WithName("Logout").WithSummary("End this sign-in");
        session.MapPost("/logout-all", LogoutAllAsync).WithName("LogoutAll").WithSummary("End every sign-in of the account");
        session.MapPost("/password", ChangePasswordAsync).WithName("ChangePassword").WithSummary("Change the password; every other sign-in ends");

        session.MapGet("/sessions", SessionsAsync).WithName("ListSessions").WithSummary("The account's sign-ins that have not ended, the newest first");
        session.MapDelete("/sessions/{id:guid}", EndSessionAsync).WithName("EndSession").WithSummary("End one sign-in of the account, within seconds");

        var me = routes.MapGroup("/api/auth").WithTags("Auth").RequireAuthorization(Policies.User);
        me.MapGet("/me", GetProfileAsync).WithName("GetProfile").WithSummary("The caller's account");
        me.MapPatch("/me", PatchProfileAsync).WithName("PatchProfile").WithSummary("Change display name or default agent");

        var keys = routes.MapGroup("/api/auth").WithTags("Auth").RequireAuthorization(Policies.Session);
        keys.MapGet("/keys", ApiKeyEndpoints.ListAsync).WithName("ListApiKeys").WithSummary("The account's API keys, newest first");
        keys.MapPost("/keys", ApiKeyEndpoints.CreateAsync).WithIdempotency(showsSecret: true).WithName("CreateApiKey").WithSummary("Make an API key; it is shown this once")
            .ProducesProblem(409);
        keys.MapDelete("/keys/{id}", ApiKeyEndpoints.RevokeAsync).WithName("RevokeApiKey").WithSummary("Revoke an API key");
    }

    private static async Task<Ok<RegistrationState>> RegistrationAsync(AccountStore accounts, IOptions<IdentityOptions> options, CancellationToken ct) =>
        TypedResults.Ok(new RegistrationState(options.Value.Registration.ToString().ToLowerInvariant(), !await accounts.AnyAsync(ct)));

    private static async Task<Results<Created<TokenResponse>, ProblemHttpResult>> RegisterAsync(
        RegisterRequest request, Registration registration, SignIn signIn, HttpContext context, CancellationToken ct)
    {
        var address = ClientAddress.Of(context);
        var (profile, refusal) = await registration.RegisterAsync(request, address, ct);
        return profile is null ? refusal! : TypedResults.Created("/api/auth/me", await signIn.StartAsync(profile, address, ct));
    }

    private static async Task<Results<Ok<TokenResponse>, ProblemHttpResult>> LoginAsync(LoginRequest request, SignIn signIn, HttpContext context, CancellationToken ct)
    {
        var (tokens, refusal) = await signIn.WithPasswordAsync(request, ClientAddress.Of(context), ct);
        return tokens is null ? refusal! : TypedResults.Ok(tokens);
    }

    private static async Task<Results<Ok<TokenResponse>, ProblemHttpResult>> RefreshAsync(RefreshRequest request, SignIn signIn, HttpContext context, CancellationToken ct)
    {
        var nonce = context.Request.Headers["Idempotency-Key"];
        if (nonce.Count > 1 || nonce.ToString().Length > 255)
        {
            return Problem.Invalid("Idempotency-Key", "Send one key of at most 255 characters.");
        }

        var (tokens, refusal) = await signIn.WithRefreshTokenAsync(request.RefreshToken, nonce.Count == 1 ? nonce.ToString() : null, ClientAddress.Of(context), ct);
        return tokens is null ? refusal! : TypedResults.Ok(tokens);
    }

    private static async Task<NoContent> LogoutAsync(Caller caller, SessionStore sessions, AccessStates states, HttpContext context, CancellationToken ct)
    {
        await sessions.EndAsync(caller.Owner, caller.SessionId!.Value, ClientAddress.Of(context), ct);
        states.Forget();
        return TypedResults.NoContent();
    }

    private static async Task<NoContent> LogoutAllAsync(Caller caller, SessionStore sessions, AccessStates states, HttpContext context, CancellationToken ct)
    {
        await sessions.EndAllAsync(caller.Owner, ClientAddress.Of(context), ct);
        states.Forget();
        return TypedResults.NoContent();
    }

    private static async Task<Ok<Page<SessionSummary>>> SessionsAsync(Caller caller, SessionStore sessions, CancellationToken ct) =>
        TypedResults.Ok(new Page<SessionSummary>(await sessions.ListAsync(caller.Owner, caller.SessionId, ct)));

    private static async Task<Results<NoContent, ProblemHttpResult>> EndSessionAsync(
        Guid id, Caller caller, SessionStore sessions, AccessStates states, HttpContext context, CancellationToken ct)
    {
        if (!await sessions.IsOpenAsync(caller.Owner, id, ct))
        {
            return Problem.NotFound("sign-in");
        }

        await sessions.EndAsync(caller.Owner, id, ClientAddress.Of(context), ct);
        states.Forget();
        return TypedResults.NoContent();
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> ChangePasswordAsync(
        PasswordChangeRequest request, Caller caller, SignIn signIn, HttpContext context, CancellationToken ct) =>
        await signIn.ChangePasswordAsync(caller, request, ClientAddress.Of(context), ct) is { } refusal ? refusal : TypedResults.NoContent();

    private static async Task<Results<Ok<UserProfile>, ProblemHttpResult>> GetProfileAsync(Caller caller, AccountStore accounts, CancellationToken ct) =>
        await accounts.FindAsync(caller.Owner, ct) is { } profile ? TypedResults.Ok(profile) : Problem.NotFound("account");

    private static async Task<Results<Ok<UserProfile>, ProblemHttpResult>> PatchProfileAsync(ProfilePatch patch, Caller caller, AccountStore accounts, CancellationToken ct)
    {
        if (patch.DisplayName is { } name && Registration.DisplayNameProblem(name) is { } problem)
        {
            return Problem.Invalid("displayName", problem);
        }

        if (patch.DefaultAgent is { Length: 0 or > 100 })
        {
            return Problem.Invalid("defaultAgent", "An agent's slug has 1 to 100 characters.");
        }

        return await accounts.UpdateAsync(caller.Owner, patch, ct) is { } profile ? TypedResults.Ok(profile) : Problem.NotFound("account");
    }
}
