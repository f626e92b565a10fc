using System.Security.Claims;
using System.Text.Encodings.Web;
using AgentFlow.Contracts.Auth;
using AgentFlow.Web.Api;
using AgentFlow.Web.Edges;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;

namespace AgentFlow.Web.Sessions;

/// <summary>Authenticates a browser by the opaque id in its cookie, and sends who is not signed in to where that is done.</summary>
internal sealed class SessionAuthentication(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, SessionStore store)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "session";
    public const string CookieName = "agentflow_session";

    /// <summary>The session's key (not the cookie's value); stays on the server.</summary>
    public const string KeyClaim = "session_key";

    private bool _isUnreachable;

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (Request.Cookies[CookieName] is not { Length: 64 } cookie)
            return AuthenticateResult.NoResult();
        var key = SessionStore.KeyOf(cookie);
        try
        {
            return await store.FindAsync(key, Context.RequestAborted) is { } session
                ? AuthenticateResult.Success(new AuthenticationTicket(Principal(key, session.User, Context), SchemeName))
                : AuthenticateResult.Fail("The session is over.");
        }
        catch (ApiException unreachable)
        {
            // Nobody is signed out because the API restarts: the challenge asks for patience instead of a password.
            _isUnreachable = true;
            return AuthenticateResult.Fail(unreachable);
        }
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        if (_isUnreachable)
            return WaitingPage.WriteAsync(Context);
        var setup = Request.Query["setup"].ToString();
        var back = Request.Path + Request.QueryString;
        Response.Redirect(setup.Length > 0
            ? "/sign-up?setup=" + Uri.EscapeDataString(setup)
            : back is "/" ? "/sign-in" : "/sign-in?returnUrl=" + Uri.EscapeDataString(back));
        return Task.CompletedTask;
    }

    private static ClaimsPrincipal Principal(string key, UserProfile user, HttpContext context)
    {
        var identity = new ClaimsIdentity(SchemeName, ClaimTypes.Name, ClaimTypes.Role);
        identity.AddClaim(new Claim(KeyClaim, key));
        identity.AddClaim(new Claim(ClaimTypes.NameIdentifier, user.Id.ToString()));
        identity.AddClaim(new Claim(ClaimTypes.Name, user.DisplayName));
        identity.AddClaim(new Claim(ClaimTypes.Email, user.Email));
        if (context.Connection.RemoteIpAddress is { } address)
            identity.AddClaim(new Claim(FrontEndSignature.AddressClaim, address.ToString()));
        if (user.Role is UserRole.Admin)
            identity.AddClaim(new Claim(ClaimTypes.Role, "admin"));
        return new ClaimsPrincipal(identity);
    }
}
