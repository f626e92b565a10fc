using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.AppHost;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;

namespace AgentFlow.Tests.Aspire;

/// <summary>
/// The Aspire form with its orchestrator and containers. Compiled only with <c>UseAspire=true</c>: the packages are on no partial feed, and
/// a container engine must run.
/// </summary>
public sealed class AspireFormTests
{
    private const string SetupToken = "4d1f0b7a92c35e68f01a";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task All_resources_become_healthy_and_a_question_is_answered()
    {
        await using var app = await StartAsync();
        using var web = app.CreateHttpClient(ResourceNames.Web, "http");
        Assert.Equal(HttpStatusCode.OK, (await web.GetAsync(ResourceNames.HealthPath, Ct)).StatusCode);
        using var api = await SignedInAsync(app);
        Assert.False(string.IsNullOrWhiteSpace((await AskAsync(api)).GetProperty("answer").GetString()));
    }

    [Theory]
    [InlineData(ResourceNames.Qdrant, HttpStatusCode.OK)]
    [InlineData(ResourceNames.Memory, HttpStatusCode.OK)]
    [InlineData(ResourceNames.Postgres, HttpStatusCode.ServiceUnavailable)]
    public async Task The_api_fails_as_designed_without_a_dependency(string stopped, HttpStatusCode readiness)
    {
        await using var app = await StartAsync();
        using var api = await SignedInAsync(app);
        var result = await app.ResourceCommands.ExecuteCommandAsync(stopped, KnownResourceCommands.StopCommand, Ct);
        Assert.True(result.Success, result.Message);
        await UntilAsync(async () =>
        {
            using var ready = await api.GetAsync(ResourceNames.ReadyPath, Ct);
            return ready.StatusCode == readiness && (await ready.Content.ReadFromJsonAsync<JsonElement>(Ct)).GetProperty("status").GetString() != "ready";
        });
        Assert.Equal(HttpStatusCode.OK, (await api.GetAsync(ResourceNames.HealthPath, Ct)).StatusCode);
        if (readiness == HttpStatusCode.OK)
            Assert.False(string.IsNullOrWhiteSpace((await AskAsync(api)).GetProperty("answer").GetString()));
    }

    private static async Task<DistributedApplication> StartAsync()
    {
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.AgentFlow_AppHost>([$"--Parameters:setup-token={SetupToken}"], Ct);
        var app = await builder.BuildAsync(Ct);
        await app.StartAsync(Ct);
        foreach (var name in (string[])[ResourceNames.Postgres, ResourceNames.Qdrant, ResourceNames.Memory, ResourceNames.Api, ResourceNames.Web])
            await app.ResourceNotifications.WaitForResourceHealthyAsync(name, Ct).WaitAsync(Patience, Ct);
        return app;
    }

    private static async Task<HttpClient> SignedInAsync(DistributedApplication app)
    {
        var api = app.CreateHttpClient(ResourceNames.Api, "http");
        using var registered = await api.PostAsJsonAsync(
            "/api/auth/register", new { email = $"{Guid.NewGuid():N}@example.test", password = "correct horse battery staple", setupToken = SetupToken }, Ct);
        var tokens = await registered.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonElement>(Ct);
        api.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", tokens.GetProperty("accessToken").GetString());
        return api;
    }

    private static async Task<JsonElement> AskAsync(HttpClient api)
    {
        using var response = await api.PostAsJsonAsync("/api/v1/chat/query", new { question = "Hello?" }, Ct);
        return await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<JsonElement>(Ct);
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        limit.CancelAfter(Patience);
        while (!await condition())
            await Task.Delay(250, limit.Token);
    }
}
