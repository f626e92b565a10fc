using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.RegularExpressions;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;

namespace AgentFlow.Tests.Support;

/// <summary>
/// What <c>eng/two-replicas</c> runs: two of each service behind nginx, on databases of the caller's. A process of its own, so that it is
/// driven as a person would drive it. Ends with this process.
/// </summary>
internal sealed partial class TwoReplicas : IAsyncDisposable
{
    /// <summary>No test meets a limit by accident, and one sign-in lasts for a whole run.</summary>
    private static readonly Dictionary<string, string> Defaults = new(StringComparer.Ordinal)
    {
        ["Auth__AccessTokenLifetime"] = "01:00:00", ["Limits__ChatPerMinute"] = "1000000", ["Limits__RequestsPerMinute"] = "10000000", ["Limits__AnonymousPerMinute"] = "10000000",
        ["Limits__UploadsPerMinute"] = "1000000", ["Logging__LogLevel__Default"] = "Warning",
    };

    private readonly Process _process;
    private readonly List<string> _said = [];
    private string _token = "";

    private TwoReplicas(Process process) => _process = process;

    /// <summary>nginx before the Web's replicas.</summary>
    public Uri Web { get; private set; } = null!;

    /// <summary>nginx before the API's replicas.</summary>
    public Uri Api { get; private set; } = null!;

    /// <summary>The replicas of the API themselves.</summary>
    public IReadOnlyList<Uri> Apis { get; private set; } = [];

    public static string? FindNginx() => new[] { "/usr/sbin", "/usr/local/sbin", "/usr/bin" }.Select(folder => Path.Combine(folder, "nginx")).FirstOrDefault(File.Exists);

    /// <param name="postgres">Gets two databases more.</param>
    /// <param name="settings">Environment variables of every service.</param>
    public static async Task<(TwoReplicas Replicas, string ApiDatabase, string MemoryDatabase)> StartAsync(PrivatePostgres postgres, IReadOnlyDictionary<string, string> settings, CancellationToken ct)
    {
        var solution = Solution();
        var start = new ProcessStartInfo("bash", [Path.Combine(solution, "eng", "two-replicas")]) { RedirectStandardInput = true, RedirectStandardOutput = true, UseShellExecute = false };
        var (api, memory) = (await postgres.CreateDatabaseAsync(ct), await postgres.CreateDatabaseAsync(ct));
        start.Environment["AGENTFLOW_API_DATABASE"] = api;
        start.Environment["AGENTFLOW_MEMORY_DATABASE"] = memory;
        start.Environment["AGENTFLOW_CONFIGURATION"] = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        foreach (var (key, value) in Defaults.Concat(settings))
            start.Environment[key] = value;
        var replicas = new TwoReplicas(Process.Start(start)!);
        try
        {
            var ready = Ready().Match(await replicas.UntilAsync("ready ", ct));
            replicas.Web = new Uri(ready.Groups["web"].Value);
            replicas.Api = new Uri(ready.Groups["api"].Value);
            replicas.Apis = [new Uri(ready.Groups["api1"].Value), new Uri(ready.Groups["api2"].Value)];
            await replicas.RegisterAsync(ready.Groups["setup"].Value, ct);
            return (replicas, api, memory);
        }
        catch
        {
            await replicas.DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops one replica gently and starts it again; returns when it is ready, with the code it had ended with.</summary>
    public async Task<int> RestartAsync(string service, int replica, CancellationToken ct)
    {
        await _process.StandardInput.WriteLineAsync($"restart {service} {replica}".AsMemory(), ct);
        await _process.StandardInput.FlushAsync(ct);
        var line = await UntilAsync($"restarted {service} {replica}", ct);
        return int.Parse(line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>A client of the first account.</summary>
    public HttpClient Client(Uri address)
    {
        var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false }) { BaseAddress = address, Timeout = TimeSpan.FromMinutes(2) };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", _token);
        return client;
    }

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await _process.WaitForExitAsync(limit.Token);
        _process.Dispose();
    }

    private async Task RegisterAsync(string setupToken, CancellationToken ct)
    {
        using var client = new HttpClient { BaseAddress = Api };
        var request = new RegisterRequest { Email = "admin@example.test", Password = "correct horse battery staple", SetupToken = setupToken };
        using var response = await client.PostAsJsonAsync("/api/auth/register", request, ContractJson.Options, ct);
        _token = (await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<TokenResponse>(ContractJson.Lenient, ct))!.AccessToken;
    }

    private async Task<string> UntilAsync(string start, CancellationToken ct)
    {
        while (await _process.StandardOutput.ReadLineAsync(ct) is { } line)
        {
            _said.Add(line);
            if (line.StartsWith(start, StringComparison.Ordinal))
                return line;
        }

        throw new InvalidOperationException($"eng/two-replicas ended. It said: {string.Join('\n', _said)}");
    }

    private static string Solution()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "AgentFlow.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("This runs from its build output inside the repository.");
        return folder.FullName;
    }

    [GeneratedRegex(@"web=(?<web>\S+) api=(?<api>\S+) api1=(?<api1>\S+) api2=(?<api2>\S+) setup=(?<setup>\S+)", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Ready();
}
