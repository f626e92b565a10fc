using AgentFlow.Contracts.Auth;

namespace AgentFlow.Web.Sessions;

/// <summary>Signs a browser in and out.</summary>
internal sealed class SessionCookie(SessionStore store, TimeProvider time)
{
    public async Task SignInAsync(HttpContext context, TokenResponse tokens)
    {
        var cookie = await store.CreateAsync(tokens, context.RequestAborted);
        context.Response.Cookies.Append(SessionAuthentication.CookieName, cookie, Options(context));
    }

    public async Task SignOutAsync(HttpContext context)
    {
        if (context.Request.Cookies[SessionAuthentication.CookieName] is { } cookie)
            await store.EndAsync(SessionStore.KeyOf(cookie), context.RequestAborted);
        context.Response.Cookies.Delete(SessionAuthentication.CookieName, Options(context));
    }

    /// <summary>Secure wherever the browser came by https; plain http is for loopback and for tests.</summary>
    private CookieOptions Options(HttpContext context) => new()
    {
        HttpOnly = true,
        Secure = context.Request.IsHttps,
        SameSite = SameSiteMode.Lax,
        IsEssential = true,
        Path = "/",
        Expires = time.GetUtcNow() + SessionStore.Lifetime,
    };
}
