using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.ServiceDefaults.Health;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ServiceDefaults.Health;

public sealed class ReadinessTests
{
    [Theory]
    [InlineData(CheckStatus.Ok, "ready", HttpStatusCode.OK)]
    [InlineData(CheckStatus.Degraded, "degraded", HttpStatusCode.OK)]
    [InlineData(CheckStatus.Failed, "not_ready", HttpStatusCode.ServiceUnavailable)]
    public async Task The_worst_check_decides(CheckStatus status, string word, HttpStatusCode code)
    {
        var (found, body) = await AskAsync(_ => Task.FromResult(new CheckResult(status, status == CheckStatus.Ok ? null : "said why")));
        Assert.Equal(code, found);
        Assert.Equal(word, body.GetProperty("status").GetString());
        Assert.Equal("ok", body.GetProperty("checks").GetProperty("postgres").GetProperty("status").GetString());
        Assert.Equal(status != CheckStatus.Ok, body.GetProperty("checks").GetProperty("probed").TryGetProperty("error", out _));
    }

    [Fact]
    public async Task What_a_probe_throws_is_not_shown()
    {
        var (found, body) = await AskAsync(_ => throw new InvalidOperationException("password=hunter2"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, found);
        Assert.DoesNotContain("hunter2", body.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_probe_that_hangs_is_given_two_seconds()
    {
        var (found, body) = await AskAsync(async ct =>
        {
            await Task.Delay(Timeout.Infinite, ct);
            return CheckResult.Ok;
        });
        Assert.Equal(HttpStatusCode.ServiceUnavailable, found);
        Assert.Equal("no answer within 2 s", body.GetProperty("checks").GetProperty("probed").GetProperty("error").GetString());
    }

    [Fact]
    public async Task The_last_error_is_told_after_it_has_gone()
    {
        var ct = TestContext.Current.CancellationToken;
        var isDown = true;
        await using var host = await FoundationHost.StartAsync(builder => builder.Services.AddSingleton<IReadinessCheck>(
            new Probed(_ => Task.FromResult(isDown ? new CheckResult(CheckStatus.Degraded, "away") : CheckResult.Ok))));
        using var client = host.App.GetTestClient();
        await client.GetStringAsync("/ready", ct);
        isDown = false;
        var probed = (await client.GetFromJsonAsync<JsonElement>("/ready", ct)).GetProperty("checks").GetProperty("probed");
        Assert.Equal("ok", probed.GetProperty("status").GetString());
        Assert.False(probed.TryGetProperty("error", out _));
        Assert.Equal("away", probed.GetProperty("lastError").GetProperty("error").GetString());
    }

    [Fact]
    public async Task Health_touches_no_dependency()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync(
            builder => builder.Services.AddSingleton<IReadinessCheck>(new Probed(_ => throw new InvalidOperationException("never asked"))));
        using var client = host.App.GetTestClient();
        Assert.Equal("""{"status":"ok"}""", await client.GetStringAsync("/health", ct));
    }

    private static async Task<(HttpStatusCode Status, JsonElement Body)> AskAsync(Func<CancellationToken, Task<CheckResult>> check)
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync(builder => builder.Services.AddSingleton<IReadinessCheck>(new Probed(check)));
        using var client = host.App.GetTestClient();
        using var response = await client.GetAsync("/ready", ct);
        return (response.StatusCode, await response.Content.ReadFromJsonAsync<JsonElement>(ct));
    }

    private sealed class Probed(Func<CancellationToken, Task<CheckResult>> check) : IReadinessCheck
    {
        public string Name => "probed";

        public Task<CheckResult> CheckAsync(CancellationToken ct) => check(ct);
    }
}
