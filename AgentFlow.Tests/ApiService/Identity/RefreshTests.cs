using System.Net;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Identity;

public sealed class RefreshTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_refresh_token_is_good_once_and_leads_to_the_next()
    {
        var user = await host.RegisterAsync();
        var token = user.Tokens.RefreshToken;
        for (var i = 0; i < 3; i++)
        {
            var next = await RefreshAsync(token);
            Assert.NotNull(next.Tokens);
            Assert.NotEqual(token, next.Tokens.RefreshToken);
            using var client = host.Client(next.Tokens.AccessToken);
            Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/api/auth/me", Ct)).StatusCode);
            token = next.Tokens.RefreshToken;
        }
    }

    [Fact]
    public async Task A_spent_token_that_is_used_again_ends_the_whole_sign_in()
    {
        var user = await host.RegisterAsync();
        var second = (await RefreshAsync(user.Tokens.RefreshToken)).Tokens!;

        Assert.Equal(HttpStatusCode.Unauthorized, (await RefreshAsync(user.Tokens.RefreshToken)).Status);

        Assert.Equal(HttpStatusCode.Unauthorized, (await RefreshAsync(second.RefreshToken)).Status);
        using var client = host.Client(second.AccessToken);
        Assert.Equal(HttpStatusCode.Unauthorized, (await client.GetAsync("/api/auth/me", Ct)).StatusCode);
    }

    [Fact]
    public async Task A_client_that_lost_the_answer_repeats_with_its_nonce_and_goes_on()
    {
        var user = await host.RegisterAsync();
        var lost = (await RefreshAsync(user.Tokens.RefreshToken, "nonce-1")).Tokens!;

        var repeated = (await RefreshAsync(user.Tokens.RefreshToken, "nonce-1")).Tokens!;
        var next = await RefreshAsync(repeated.RefreshToken, "nonce-2");

        Assert.Equal(lost.RefreshToken, repeated.RefreshToken);
        Assert.Equal(HttpStatusCode.OK, next.Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await RefreshAsync(user.Tokens.RefreshToken, "another")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await RefreshAsync(next.Tokens!.RefreshToken, "nonce-3")).Status);
    }

    [Fact]
    public async Task Sixteen_at_once_with_one_nonce_get_one_successor()
    {
        var user = await host.RegisterAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => RefreshAsync(user.Tokens.RefreshToken, "same")));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.Status));
        Assert.Single(answers.Select(answer => answer.Tokens!.RefreshToken).Distinct());
        Assert.Equal(HttpStatusCode.OK, (await RefreshAsync(answers[0].Tokens!.RefreshToken)).Status);
    }

    [Fact]
    public async Task Sixteen_at_once_without_a_nonce_have_one_winner_and_end_the_sign_in()
    {
        var user = await host.RegisterAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => RefreshAsync(user.Tokens.RefreshToken)));

        var winner = Assert.Single(answers, answer => answer.Status is HttpStatusCode.OK);
        Assert.Equal(HttpStatusCode.Unauthorized, (await RefreshAsync(winner.Tokens!.RefreshToken)).Status);
    }

    [Theory]
    [InlineData("")]
    [InlineData("afr_short")]
    [InlineData("afr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public async Task What_is_no_refresh_token_is_refused(string token) => Assert.Equal(HttpStatusCode.Unauthorized, (await RefreshAsync(token)).Status);

    [Fact]
    public async Task An_access_token_is_no_refresh_token_nor_the_other_way_round()
    {
        var user = await host.RegisterAsync();
        using var client = host.Client(user.Tokens.RefreshToken);

        Assert.Equal(HttpStatusCode.Unauthorized, (await RefreshAsync(user.Tokens.AccessToken)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await client.GetAsync("/api/auth/me", Ct)).StatusCode);
    }

    private async Task<(HttpStatusCode Status, TokenResponse? Tokens)> RefreshAsync(string token, string? nonce = null)
    {
        using var client = host.Client();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/auth/refresh") { Content = JsonContent.Create(new RefreshRequest { RefreshToken = token }, options: ContractJson.Options) };
        if (nonce is not null)
        {
            request.Headers.Add("Idempotency-Key", nonce);
        }

        using var response = await client.SendAsync(request, Ct);
        return (response.StatusCode, response.IsSuccessStatusCode ? await response.Content.ReadFromJsonAsync<TokenResponse>(ContractJson.Options, Ct) : null);
    }
}
