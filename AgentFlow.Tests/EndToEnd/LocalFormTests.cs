using System.Net;
using System.Net.Http.Json;
using AgentFlow.AppHost;
using AgentFlow.AppHost.Local;
using AgentFlow.Tests.AppHost;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.EndToEnd;

public sealed class LocalFormTests : IDisposable
{
    /// <summary>Nobody can catch it: the process stands still.</summary>
    private const int SigStop = 19;

    private readonly TemporaryFolder _folder = new();

    private string State => _folder["state"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Everything_starts_as_the_one_file_of_names_says_refuses_a_second_start_and_stops_on_request()
    {
        await using var agentFlow = await RunningAgentFlow.StartAsync(State);
        using var http = new HttpClient();
        Assert.Equal(Secrets.LoadOrCreate(State).SetupToken, agentFlow.SetupToken);
        Assert.Equal($"AgentFlow is ready: {Composition.Text(agentFlow.Web)}?setup={agentFlow.SetupToken}", agentFlow.Lines.Single(line => line.StartsWith("AgentFlow is ready", StringComparison.Ordinal)));
        ServicesReceive(agentFlow);

        var (exitCode, output) = await RunningAgentFlow.RunToEndAsync(State);
        Assert.Equal(1, exitCode);
        Assert.Contains($"The state folder {State} is in use by another AgentFlow (process ", output, StringComparison.Ordinal);
        foreach (var service in new[] { agentFlow.Web, agentFlow.Api, agentFlow.Memory })
            Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(new Uri(service, "/health"), TestContext.Current.CancellationToken)).StatusCode);

        Assert.Equal(0, await agentFlow.TerminateAsync());
        Assert.DoesNotContain(agentFlow.Lines, line => line.Contains("did not stop", StringComparison.Ordinal));
        await agentFlow.NothingIsLeftAsync();
    }

    private void ServicesReceive(RunningAgentFlow agentFlow)
    {
        var secrets = Secrets.LoadOrCreate(State);
        var api = agentFlow.EnvironmentOf("AgentFlow.ApiService");
        var memory = agentFlow.EnvironmentOf("AgentFlow.MemoryService");
        var web = agentFlow.EnvironmentOf("AgentFlow.Web");

        Assert.Contains("Database=agentflow_api", api[ResourceNames.Keys.ApiConnection], StringComparison.Ordinal);
        Assert.Contains("Database=agentflow_memory", memory[ResourceNames.Keys.MemoryConnection], StringComparison.Ordinal);
        Assert.Equal(Composition.Text(agentFlow.Memory), api[ResourceNames.Keys.MemoryAddress]);
        Assert.Equal(Composition.Text(agentFlow.Api), web[ResourceNames.Keys.ApiAddress]);
        Assert.Equal(secrets.SetupToken, api[ResourceNames.Keys.SetupToken]);
        Assert.All([api, memory, web], each =>
        {
            Assert.Equal(secrets.SigningKeys, each[ResourceNames.Keys.SigningKeys]);
            Assert.Equal("1", each[ResourceNames.Keys.ParentPipe]);
            Assert.Equal("Development", each[ResourceNames.Keys.Environment]);
        });
        Assert.DoesNotContain(ResourceNames.Keys.MemoryConnection, api.Keys);
        Assert.DoesNotContain(ResourceNames.Keys.ApiConnection, memory.Keys);
        Assert.DoesNotContain(web.Keys, key => key.StartsWith("ConnectionStrings__", StringComparison.Ordinal) || key == ResourceNames.Keys.SetupToken);
    }

    [Fact]
    public async Task A_killed_service_a_killed_database_and_a_killed_AppHost_leave_nothing_and_come_back()
    {
        await using var agentFlow = await RunningAgentFlow.StartAsync(State);
        using var http = new HttpClient();
        using var registered = await http.PostAsJsonAsync(
            new Uri(agentFlow.Api, "/api/auth/register"),
            new { email = "ada@example.org", password = "correct horse battery", setupToken = agentFlow.SetupToken },
            TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Created, registered.StatusCode);

        Native.Signal(agentFlow.ServiceProcess("AgentFlow.ApiService"), Native.SigKill);
        Native.Signal(int.Parse((await File.ReadAllLinesAsync(Path.Combine(State, "postgres", "postmaster.pid"), TestContext.Current.CancellationToken))[0], System.Globalization.CultureInfo.InvariantCulture), Native.SigKill);
        await Patience.UntilAsync(() => SignsInAsync(http, agentFlow.Api), "signing in after both were killed");

        await agentFlow.KillAppHostAsync();
        await agentFlow.NothingIsLeftAsync();
        await using var again = await RunningAgentFlow.StartAsync(State, args: "--no-web");
        Assert.Null(again.SetupToken);
        Assert.True(await SignsInAsync(http, again.Api));
    }

    private static async Task<bool> SignsInAsync(HttpClient http, Uri api)
    {
        try
        {
            using var signedIn = await http.PostAsJsonAsync(
                new Uri(api, "/api/auth/login"), new { email = "ada@example.org", password = "correct horse battery" }, TestContext.Current.CancellationToken);
            return signedIn.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    [Fact]
    public async Task A_stop_that_takes_longer_than_it_may_ends_all_the_same()
    {
        var hasty = new Dictionary<string, string>(StringComparer.Ordinal) { ["AGENTFLOW_STOP_SECONDS"] = "1" };
        await using var agentFlow = await RunningAgentFlow.StartAsync(State, hasty, "--no-web");
        Native.Signal(agentFlow.ServiceProcess("AgentFlow.MemoryService"), SigStop);
        Assert.Equal(0, await agentFlow.TerminateAsync());
        Assert.Contains(agentFlow.Lines, line => line.Contains("memory did not stop", StringComparison.Ordinal));
        await agentFlow.NothingIsLeftAsync();
    }

    [Fact]
    public async Task A_wrong_setting_stops_the_start_with_its_reason()
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal) { ["Postgres__MaxPoolSize"] = "many" };
        var (exitCode, output) = await RunningAgentFlow.RunToEndAsync(State, settings, "--no-web");
        Assert.Equal(1, exitCode);
        Assert.Contains("MaxPoolSize", output, StringComparison.Ordinal);
        Assert.Contains("many", output, StringComparison.Ordinal);
    }
}
