using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ServiceDefaults.Telemetry;

/// <summary>Without any collector, a line of the log and an error answer still lead to the request that they belong to.</summary>
public sealed class TraceIdTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Error_answers_and_log_lines_name_the_callers_trace()
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["ASPNETCORE_ENVIRONMENT"] = "Production", ["Edges:HttpsRedirect"] = "false", ["Logging:LogLevel:Default"] = "Warning",
        };
        await using var api = await ApiProcess.StartAsync(await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Api), settings, Ct);
        using var client = api.Client();

        using var unknown = await SendAsync(client, HttpMethod.Get, $"/api/conversations/{Guid.NewGuid()}", null, "4bf92f3577b34da6a3ce929d0e0e4736");
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal("4bf92f3577b34da6a3ce929d0e0e4736", (await unknown.Content.ReadFromJsonAsync<JsonElement>(Ct)).GetProperty("traceId").GetString());

        // The memory service is not there; the run that says so goes on in the background, after the request that started it was taken.
        using var asked = await SendAsync(client, HttpMethod.Post, "/api/v1/chat/query", new QueryRequest { Question = "Anybody there?" }, "0af7651916cd43dd8448eb211c80319c");
        Assert.Equal(HttpStatusCode.OK, asked.StatusCode);
        await UntilAsync(api, line => line.Contains("without memory", StringComparison.Ordinal) && line.Contains("\"TraceId\":\"0af7651916cd43dd8448eb211c80319c\"", StringComparison.Ordinal));
    }

    private static async Task<HttpResponseMessage> SendAsync(HttpClient client, HttpMethod method, string path, QueryRequest? body, string trace)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
            request.Content = JsonContent.Create(body, options: ContractJson.Options);
        request.Headers.Add("traceparent", $"00-{trace}-00f067aa0ba902b7-01");
        return await client.SendAsync(request, Ct);
    }

    private static async Task UntilAsync(ApiProcess api, Func<string, bool> isRight)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (true)
        {
            string[] lines;
            lock (api.Output)
                lines = [.. api.Output];
            if (Array.Exists(lines, line => isRight(line)))
                return;
            Assert.False(limit.IsCancellationRequested, string.Join('\n', lines));
            await Task.Delay(50, Ct);
        }
    }
}
