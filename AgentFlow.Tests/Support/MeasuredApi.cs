using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;

namespace AgentFlow.Tests.Support;

/// <summary>The ApiService as a process of its own on a private database, for tests and measurements that kill it or look at its memory.</summary>
public sealed class MeasuredApi : IAsyncDisposable
{
    private const string SetupToken = "the-token-of-this-measurement-only";
    private readonly string keys = $"b1:{Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))}";
    private readonly IReadOnlyDictionary<string, string> settings;
    private Process? process;

    private MeasuredApi(string connectionString, IReadOnlyDictionary<string, string> settings)
    {
        ConnectionString = connectionString;
        this.settings = settings;
        Http = new HttpClient(new SocketsHttpHandler { UseProxy = false })
        {
            BaseAddress = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{LoopbackPort.Take()}")),
            Timeout = TimeSpan.FromMinutes(10),
        };
    }

    public string ConnectionString { get; }

    /// <summary>Signed in as the administrator.</summary>
    public HttpClient Http { get; }

    /// <param name="connectionString">An administrator's, of an empty database.</param>
    /// <param name="settings">Environment variables, over defaults that no measurement meets by accident.</param>
    /// <param name="ct">Ends the start.</param>
    public static async Task<MeasuredApi> StartAsync(string connectionString, IReadOnlyDictionary<string, string> settings, CancellationToken ct)
    {
        var api = new MeasuredApi(connectionString, settings);
        await api.StartAsync(ct);
        var request = new RegisterRequest { Email = "bench@example.test", Password = "correct horse battery staple", DisplayName = "Bench", SetupToken = SetupToken };
        using var response = await api.Http.PostAsJsonAsync("/api/auth/register", request, ContractJson.Options, ct);
        response.EnsureSuccessStatusCode();
        var tokens = await response.Content.ReadFromJsonAsync<TokenResponse>(ContractJson.Options, ct);
        api.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", tokens!.AccessToken);
        using var key = await api.Http.PostAsJsonAsync("/api/auth/keys", new ApiKeyRequest { Name = "bench", Scopes = ["read", "write"] }, ContractJson.Options, ct);
        key.EnsureSuccessStatusCode();
        api.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(
            "Bearer", (await key.Content.ReadFromJsonAsync<ApiKeyCreated>(ContractJson.Options, ct))!.Key);
        return api;
    }

    public async Task StartAsync(CancellationToken ct)
    {
        var dotnet = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));
        var start = new ProcessStartInfo(dotnet, [Path.Combine(AppContext.BaseDirectory, "AgentFlow.ApiService.dll")])
        {
            UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = AppContext.BaseDirectory,
        };
        var defaults = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["ConnectionStrings__agentflow-api"] = ConnectionString,
            ["DOTNET_ENVIRONMENT"] = "Development",
            ["ASPNETCORE_URLS"] = Http.BaseAddress!.AbsoluteUri,
            ["Auth__Keys"] = keys,
            ["Auth__SetupToken"] = SetupToken,
            ["services__memory__http__0"] = "http://127.0.0.1:9",
            ["Logging__LogLevel__Default"] = "Error",
            ["Limits__RequestsPerMinute"] = "10000000",
            ["Limits__UploadsPerMinute"] = "100000",
        };
        foreach (var (name, value) in defaults.Concat(settings))
            start.Environment[name] = value;
        process = Process.Start(start)!;
        process.OutputDataReceived += static (_, _) => { };
        process.ErrorDataReceived += static (_, line) => Console.Error.WriteLine(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        while (true)
        {
            try
            {
                using var response = await Http.GetAsync("/health", ct);
                if (response.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException) when (!process.HasExited)
            {
                // Not listening yet.
            }

            await Task.Delay(20, ct);
        }
    }

    /// <summary>SIGKILL; returns when it is gone.</summary>
    public async Task KillAsync(CancellationToken ct)
    {
        process!.Kill();
        await process.WaitForExitAsync(ct);
        process.Dispose();
    }

    /// <summary>Resident memory now and at its highest, in MB, and CPU seconds, as the kernel counts them.</summary>
    public (double Now, double Peak, double CpuSeconds) Usage()
    {
        process!.Refresh();
        double Status(string name) => double.Parse(
            File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{process.Id}/status")).First(line => line.StartsWith(name, StringComparison.Ordinal)).Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1],
            CultureInfo.InvariantCulture) / 1000;
        return (Status("VmRSS"), Status("VmHWM"), process.TotalProcessorTime.TotalSeconds);
    }

    /// <summary>Resident memory of the largest process that the service has started and that still runs, in MB; 0 when there is none.</summary>
    public double LargestChild()
    {
        var largest = 0.0;
        foreach (var folder in Directory.EnumerateDirectories("/proc").Where(each => char.IsAsciiDigit(Path.GetFileName(each)[0])))
        {
            try
            {
                var lines = File.ReadAllLines(Path.Combine(folder, "status"));
                double Number(string name) => lines.FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal)) is { } line
                    ? double.Parse(line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture)
                    : 0;
                if ((int)Number("PPid:") == process!.Id)
                    largest = Math.Max(largest, Number("VmHWM:") / 1000);
            }
            catch (IOException)
            {
                // It ended meanwhile.
            }
        }

        return largest;
    }

    public async ValueTask DisposeAsync()
    {
        if (process is { HasExited: false })
            await KillAsync(CancellationToken.None);
        Http.Dispose();
    }
}
