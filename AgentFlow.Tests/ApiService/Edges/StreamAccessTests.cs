using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Edges;

public sealed class StreamAccessTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_open_stream_is_cut_off_when_its_key_is_revoked_and_the_run_goes_on()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        provider.Respond = _ => Script.SayThenStall("Half ", "of ", "it.");
        await using var host = await ApiHost.StartAsync(new()
        {
            ["Models:Providers:0:Name"] = "scripted", ["Models:Providers:0:Endpoint"] = provider.Endpoint.ToString(), ["Models:Providers:0:Model"] = "scripted",
        });
        using var client = await host.Admin.KeyClientAsync("chat");
        using var message = new HttpRequestMessage(HttpMethod.Post, "/api/chat") { Content = JsonContent.Create(new ChatRequest { Message = "Go on." }, options: ContractJson.Options) };
        using var response = await client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, Ct);
        var keys = await host.Admin.Client.GetFromJsonAsync<Page<ApiKeySummary>>("/api/auth/keys", ContractJson.Options, Ct);
        RunId? run = null;

        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await foreach (var evt in SseEvent.ReadAsync(response))
            {
                if (run is null)
                    (await host.Admin.Client.DeleteAsync($"/api/auth/keys/{keys!.Items[0].Id}", Ct)).Dispose();
                run = evt.RunId;
            }
        });

        var state = await host.Admin.Client.GetFromJsonAsync<RunState>($"/api/runs/{run}", ContractJson.Options, Ct);
        Assert.Equal(RunStatus.Running, state!.Status);
    }
}
