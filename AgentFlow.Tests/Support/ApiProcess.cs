using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;

namespace AgentFlow.Tests.Support;

/// <summary>
/// The real ApiService as a process of its own, for tests that kill it and for load runs that measure it. Its address stays the same
/// over restarts. It ends with this process: its standard input is its life line.
/// </summary>
internal sealed class ApiProcess : IAsyncDisposable
{
    private readonly Dictionary<string, string> environment;
    private readonly string setupToken = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
    private Process? process;

    private ApiProcess(string connectionString, IReadOnlyDictionary<string, string> settings)
    {
        Address = new($"http://127.0.0.1:{LoopbackPort.Take()}");
        environment = new(StringComparer.Ordinal)
        {
            ["ASPNETCORE_ENVIRONMENT"] = "Development",
            ["ASPNETCORE_URLS"] = Address.ToString(),
            ["AGENTFLOW_PARENT_PIPE"] = "1",
            ["ConnectionStrings__agentflow-api"] = connectionString,
            ["Auth__Keys"] = $"k1:{Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))}",
            ["Auth__SetupToken"] = setupToken,
            ["services__memory__http__0"] = "http://127.0.0.1:9",
            ["Logging__LogLevel__Default"] = "Error",
            ["Limits__ChatPerMinute"] = "1000000",
            ["Limits__RequestsPerMinute"] = "10000000",
        };
        foreach (var (key, value) in settings)
            environment[key.Replace(":", "__", StringComparison.Ordinal)] = value;
    }

    public Uri Address { get; }

    public int Id => process!.Id;

    /// <summary>The first account's access token.</summary>
    public string Token { get; private set; } = "";

    /// <summary>Everything that was written to standard output and error.</summary>
    public Queue<string> Output { get; } = new();

    public static async Task<ApiProcess> StartAsync(string connectionString, IReadOnlyDictionary<string, string> settings, CancellationToken ct)
    {
        var api = new ApiProcess(connectionString, settings);
        await api.StartAsync(ct);
        await api.RegisterAsync(ct);
        return api;
    }

    public async Task StartAsync(CancellationToken ct)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "AgentFlow.ApiService"))
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
            WorkingDirectory = AppContext.BaseDirectory,
        };
        foreach (var (key, value) in environment)
            start.Environment[key] = value;
        process = Process.Start(start)!;
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await WaitUntilHealthyAsync(ct);
    }

    /// <summary>SIGKILL, and the end of the process.</summary>
    public async Task KillAsync(CancellationToken ct)
    {
        process!.Kill();
        await process.WaitForExitAsync(ct);
        process.Dispose();
    }

    /// <summary>SIGTERM, as an operator's tools send it; the exit code.</summary>
    public async Task<int> TerminateAsync(CancellationToken ct)
    {
        using (var kill = Process.Start("sh", ["-c", string.Create(System.Globalization.CultureInfo.InvariantCulture, $"kill -TERM {Id}")]))
            await kill.WaitForExitAsync(ct);
        await process!.WaitForExitAsync(ct);
        return process.ExitCode;
    }

    /// <summary>A client of the first account; any number of connections.</summary>
    public HttpClient Client()
    {
        var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = Address, Timeout = TimeSpan.FromMinutes(5) };
        if (Token.Length > 0)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
        return client;
    }

    /// <summary>Processor time so far; unlike elapsed time it says what a request costs on a busy machine, too.</summary>
    public TimeSpan ProcessorTime()
    {
        process!.Refresh();
        return process.TotalProcessorTime;
    }

    /// <summary>Resident memory in bytes, from <c>/proc</c>.</summary>
    public long ResidentBytes()
    {
        // VmRSS:	  123456 kB
        var line = File.ReadLines($"/proc/{Id}/status").First(each => each.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', '\t').Where(part => part.Length > 0).ElementAt(1), System.Globalization.CultureInfo.InvariantCulture) * 1024;
    }

    public async ValueTask DisposeAsync()
    {
        if (process is null || process.HasExited)
            return;
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        await process.WaitForExitAsync(limit.Token);
        process.Dispose();
    }

    private void Keep(string? line)
    {
        if (line is null)
            return;
        lock (Output)
        {
            Output.Enqueue(line);
            if (Output.Count > 500)
                Output.Dequeue();
        }
    }

    private async Task WaitUntilHealthyAsync(CancellationToken ct)
    {
        using var client = Client();
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                using var response = await client.GetAsync("/health", ct);
                if (response.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException) when (attempt < 12_000 && !process!.HasExited)
            {
                // Not yet listening.
            }
            catch (HttpRequestException error)
            {
                lock (Output)
                    throw new InvalidOperationException($"The ApiService did not start: {string.Join('\n', Output)}", error);
            }

            await Task.Delay(25, ct);
        }
    }

    private async Task RegisterAsync(CancellationToken ct)
    {
        using var client = Client();
        var request = new RegisterRequest { Email = "admin@example.test", Password = "correct horse battery staple", SetupToken = setupToken };
        using var response = await client.PostAsJsonAsync("/api/auth/register", request, ContractJson.Options, ct);
        response.EnsureSuccessStatusCode();
        Token = (await response.Content.ReadFromJsonAsync<TokenResponse>(ContractJson.Lenient, ct))!.AccessToken;
    }
}
