using System.Net;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Identity;

public sealed class AuthEndpointsTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_new_account_signs_in_and_sees_itself()
    {
        var user = await host.RegisterAsync();
        using var client = host.Client();

        using var response = await client.PostAsJsonAsync("/api/auth/login", new LoginRequest { Email = user.Email.ToUpperInvariant(), Password = ApiHost.Password }, ContractJson.Options, Ct);
        var tokens = await response.Content.ReadFromJsonAsync<TokenResponse>(ContractJson.Options, Ct);
        using var signedIn = host.Client(tokens!.AccessToken);
        var me = await signedIn.GetFromJsonAsync<UserProfile>("/api/auth/me", ContractJson.Options, Ct);

        Assert.Equal(user.Tokens.User, me);
        Assert.Equal((UserRole.User, 900), (me!.Role, tokens.ExpiresIn));
    }

    [Fact]
    public async Task First_account_is_administrator() =>
        Assert.Equal(UserRole.Admin, (await host.Admin.Client.GetFromJsonAsync<UserProfile>("/api/auth/me", ContractJson.Options, Ct))!.Role);
}
