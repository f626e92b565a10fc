using System.Net;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Models;

public sealed class ModelEndpointsTests(ApiHost api) : IClassFixture<ApiHost>
{
    private static CancellationToken Limit => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Without_a_provider_the_built_in_model_is_the_default() => Assert.Equal(
        """{"items":[{"id":"extractive","provider":"agentflow","offline":true}],"default":"extractive"}""",
        await api.Admin.Client.GetStringAsync("/api/models", Limit));

    [Fact]
    public async Task Configured_models_come_by_priority_and_the_built_in_one_last()
    {
        await using var configured = await ApiHost.StartAsync(new()
        {
            ["Models:Providers:0:Name"] = "Second",
            ["Models:Providers:0:Model"] = "b",
            ["Models:Providers:0:Priority"] = "2",
            ["Models:Providers:1:Endpoint"] = "http://127.0.0.1:9/v1",
            ["Models:Providers:1:Model"] = "a",
            ["Models:Providers:1:Priority"] = "1",
        });

        Assert.Equal(
            """{"items":[{"id":"a","provider":"127.0.0.1/a","offline":false},{"id":"b","provider":"Second","offline":false},{"id":"extractive","provider":"agentflow","offline":true}],"default":"a"}""",
            await configured.Admin.Client.GetStringAsync("/api/models", Limit));
    }

    [Fact]
    public async Task Strangers_are_told_nothing()
    {
        using var client = api.Client();
        using var response = await client.GetAsync("/api/models", Limit);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Theory]
    [InlineData("Models:Providers:0:Endpoint", "ftp://x", "Endpoint: found 'ftp://x'")]
    [InlineData("Models:Providers:0:MaxAttempts", "0", "Models:Providers:0:MaxAttempts: found '0'. The field MaxAttempts must be between 1 and 10.")]
    [InlineData("Models:Providers:0:Roles:0", "poet", "Roles: found 'poet'. Use any of chat, extraction, embedding.")]
    [InlineData("Agents:Path", "/nowhere", "Agents:Path: found '/nowhere'. That is no folder.")]
    public async Task A_wrong_setting_stops_the_start_with_its_name_and_cure(string key, string value, string expected)
    {
        var e = await Assert.ThrowsAnyAsync<Exception>(() => ApiHost.StartAsync(new() { [key] = value }));

        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }
}
