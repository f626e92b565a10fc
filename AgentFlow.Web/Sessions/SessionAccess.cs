using System.Security.Claims;
using AgentFlow.Contracts.Auth;
using Microsoft.AspNetCore.Components.Authorization;

namespace AgentFlow.Web.Sessions;

/// <summary>The session of whoever this page, circuit or request belongs to. Scoped.</summary>
internal sealed class SessionAccess(SessionStore store, FrontEndSignature signature, IHttpContextAccessor request, IServiceProvider services)
{
    private readonly AuthenticationStateProvider? _provider = services.GetService<AuthenticationStateProvider>();
    private string? _key;

    public async Task<string?> AccessTokenAsync(string? refused, CancellationToken cancellationToken)
    {
        if (await KeyAsync() is not { } key)
            return null;
        var token = await store.AccessTokenAsync(key, refused, await signature.AddressAsync(), cancellationToken);
        IsOver = token is null;
        return token;
    }

    /// <summary>True once the API has ended the session: the page has to sign in anew.</summary>
    public bool IsOver { get; private set; }

    public async Task<UserProfile?> UserAsync(CancellationToken cancellationToken) =>
        await KeyAsync() is { } key && await store.FindAsync(key, cancellationToken) is { } session ? session.User : null;

    public async Task UpdateAsync(UserProfile user, CancellationToken cancellationToken)
    {
        if (await KeyAsync() is { } key)
            await store.UpdateAsync(key, user, cancellationToken);
    }

    /// <summary>Nobody is signed in by this session any more, here or in another tab.</summary>
    public async Task EndAsync(CancellationToken cancellationToken)
    {
        if (await KeyAsync() is { } key)
            await store.EndAsync(key, cancellationToken);
        IsOver = true;
    }

    /// <summary>From the request where there is one; a circuit has none, but the principal that it was opened with.</summary>
    private async Task<string?> KeyAsync()
    {
        if (_key is not null)
            return _key;
        var user = request.HttpContext?.User;
        if (user?.Identity?.IsAuthenticated != true && _provider is not null)
            user = (await _provider.GetAuthenticationStateAsync()).User;
        return _key = user?.FindFirstValue(SessionAuthentication.KeyClaim);
    }
}
