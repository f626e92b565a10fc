using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Edges;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Web.Api;
using Microsoft.Extensions.Caching.Memory;

namespace AgentFlow.Web.Sessions;

/// <summary>
/// The sessions of the signed-in browsers. A session's key is the SHA-256 of the cookie's id, so that neither database nor logs can be used to
/// sign in. Reads are cached for <see cref="Fresh"/>: that is how long a sign-out in another Web process takes to be seen here. One renewal
/// of a token at a time; renewals carry an idempotency key made of the token, so that two processes, or a lost answer, count as one.
/// </summary>
internal sealed class SessionStore(SessionVault vault, JwtCodec codec, IHttpClientFactory clients, IMemoryCache cache, TimeProvider time)
{
    /// <summary>Absolute life of a sign-in, as that of the refresh token behind it.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan RenewBefore = TimeSpan.FromSeconds(60);
    private readonly SemaphoreSlim[] _renewals = [.. Enumerable.Range(0, 64).Select(_ => new SemaphoreSlim(1, 1))];

    public static string KeyOf(string cookie) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(cookie)));

    /// <summary>Keeps a new session and returns the cookie's value: 256 random bits.</summary>
    public async Task<string> CreateAsync(TokenResponse tokens, CancellationToken cancellationToken)
    {
        var cookie = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        var now = time.GetUtcNow();
        var session = WebSession.From(tokens, now, now);
        await KeepAsync(KeyOf(cookie), session, cancellationToken);
        return cookie;
    }

    public async Task<WebSession?> FindAsync(string key, CancellationToken cancellationToken)
    {
        if (cache.TryGetValue(Entry(key), out WebSession? known))
            return known;
        var session = await vault.FindAsync(key, cancellationToken);
        if (session is not null)
            Remember(key, session);
        return session;
    }

    /// <summary>A token for the session, renewed when it is about to end or was refused; null when the session is over.</summary>
    /// <param name="refused">The token that the API did not take; null for the first try.</param>
    /// <param name="address">The browser's, for the API's limits.</param>
    public async Task<string?> AccessTokenAsync(string key, string? refused, string? address, CancellationToken cancellationToken)
    {
        if (await FindAsync(key, cancellationToken) is not { } session)
            return null;
        if (IsUsable(session, refused))
            return session.AccessToken;

        var turn = _renewals[(uint)key.GetHashCode(StringComparison.Ordinal) % (uint)_renewals.Length];
        await turn.WaitAsync(cancellationToken);
        try
        {
            // Another process, or the caller before, may have renewed it: what is stored counts.
            session = await vault.FindAsync(key, cancellationToken);
            if (session is null || IsUsable(session, refused))
            {
                Remember(key, session);
                return session?.AccessToken;
            }

            return await RenewAsync(key, session, address, cancellationToken);
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Puts a changed profile into the session, so that pages show it without a new sign-in.</summary>
    public async Task UpdateAsync(string key, UserProfile user, CancellationToken cancellationToken)
    {
        if (await vault.FindAsync(key, cancellationToken) is { } session)
            await KeepAsync(key, session with { User = user }, cancellationToken);
    }

    public async Task EndAsync(string key, CancellationToken cancellationToken)
    {
        cache.Remove(Entry(key));
        await vault.DropAsync(key, cancellationToken);
    }

    private async Task<string?> RenewAsync(string key, WebSession session, string? address, CancellationToken cancellationToken)
    {
        var nonce = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("renew " + session.RefreshToken)))[..32];
        using var request = ApiClient.Request(
            HttpMethod.Post, "api/auth/refresh", new RefreshRequest { RefreshToken = session.RefreshToken }, nonce);
        FrontEnd.Sign(request, codec, address);
        using var response = await SendAsync(request, cancellationToken);
        if (response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.BadRequest or HttpStatusCode.Forbidden)
        {
            await EndAsync(key, cancellationToken);
            return null;
        }

        if (!response.IsSuccessStatusCode)
            throw new ApiException(ApiProblem.Unreachable with { Status = (int)response.StatusCode });
        var tokens = await ApiClient.ReadAsync<TokenResponse>(response, cancellationToken);
        var renewed = WebSession.From(tokens, session.CreatedAt, time.GetUtcNow());

        // The old refresh token is spent: keeping the new one must not be given up because a page was closed.
        await KeepAsync(key, renewed, CancellationToken.None);
        return renewed.AccessToken;
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            return await clients.CreateClient(nameof(VaultClient)).SendAsync(request, cancellationToken);
        }
        catch (Exception fault) when (ApiClient.IsConnectionFault(fault, cancellationToken))
        {
            throw new ApiException(ApiProblem.Unreachable, fault);
        }
    }

    private bool IsUsable(WebSession session, string? refused) =>
        refused is not null ? session.AccessToken != refused : session.AccessExpiresAt - RenewBefore > time.GetUtcNow();

    private async Task KeepAsync(string key, WebSession session, CancellationToken cancellationToken)
    {
        await vault.KeepAsync(key, session, session.CreatedAt + Lifetime, cancellationToken);
        Remember(key, session);
    }

    private void Remember(string key, WebSession? session)
    {
        if (session is null)
            cache.Remove(Entry(key));
        else
            cache.Set(Entry(key), session, new MemoryCacheEntryOptions { AbsoluteExpirationRelativeToNow = Fresh, Size = 1 });
    }

    private static string Entry(string key) => "session:" + key;
}
