using AgentFlow.Contracts.Auth;

namespace AgentFlow.Web.Api;

/// <summary>Accounts: what can be asked before anybody is signed in, and the signed-in one's own.</summary>
internal sealed class AccountClient(ApiClient api)
{
    public Task<TokenResponse> LoginAsync(LoginRequest request, CancellationToken cancellationToken) =>
        api.SendAsync<TokenResponse>(HttpMethod.Post, "api/auth/login", request, null, cancellationToken);

    public Task<TokenResponse> RegisterAsync(RegisterRequest request, CancellationToken cancellationToken) =>
        api.SendAsync<TokenResponse>(HttpMethod.Post, "api/auth/register", request, null, cancellationToken);

    /// <summary>How far the erasure of a closed account is; null when the API does not say, or knows no such receipt.</summary>
    public async Task<AccountErasureReceipt?> ErasureAsync(Guid receipt, CancellationToken cancellationToken)
    {
        try
        {
            return await api.GetAsync<AccountErasureReceipt>($"api/auth/erasures/{receipt}", cancellationToken);
        }
        catch (ApiException)
        {
            return null;
        }
    }

    /// <summary>Null when the API does not say: the pages then offer everything and let it refuse.</summary>
    public async Task<RegistrationState?> RegistrationAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await api.GetAsync<RegistrationState>("api/auth/registration", cancellationToken);
        }
        catch (ApiException)
        {
            return null;
        }
    }
}
