using System.Security.Claims;
using AgentFlow.ServiceDefaults.Edges;
using AgentFlow.ServiceDefaults.Tokens;
using Microsoft.AspNetCore.Components.Authorization;

namespace AgentFlow.Web.Sessions;

/// <summary>
/// Signs calls to the API as this Web's, on behalf of the browser that this request or circuit belongs to, so that the API's limits count
/// browsers and not the Web. Scoped.
/// </summary>
internal sealed class FrontEndSignature(JwtCodec codec, IHttpContextAccessor request, IServiceProvider services)
{
    /// <summary>The browser's address in the principal; a circuit outlives the request that brought it.</summary>
    public const string AddressClaim = "client_address";

    /// <summary>Got at once: what a page had begun before it was closed goes on, when nothing can be got from its services any more.</summary>
    private readonly AuthenticationStateProvider? _provider = services.GetService<AuthenticationStateProvider>();

    public async Task AddAsync(HttpRequestMessage message) => FrontEnd.Sign(message, codec, await AddressAsync());

    /// <summary>As seen here, or as a proxy said that this service was told to trust. Null where no browser is known.</summary>
    public async Task<string?> AddressAsync()
    {
        if (request.HttpContext?.Connection.RemoteIpAddress is { } address)
            return address.ToString();
        return _provider is not null
            ? (await _provider.GetAuthenticationStateAsync()).User.FindFirstValue(AddressClaim)
            : null;
    }
}
