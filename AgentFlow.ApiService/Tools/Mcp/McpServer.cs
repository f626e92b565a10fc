using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.AI;
using ModelContextProtocol.Client;

namespace AgentFlow.ApiService.Tools.Mcp;

/// <summary>
/// One MCP server. What its tools say of themselves is pinned when it is first seen: a tool whose description or schema changes while the
/// service runs is left out until a restart, because somebody consented to the other one.
/// </summary>
internal sealed partial class McpServer(string name, McpServerOptions options, TimeProvider time, ILoggerFactory logs) : IDisposable
{
    private const int MaxTools = 100;
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);
    private readonly ILogger _log = logs.CreateLogger<McpServer>();
    private readonly SemaphoreSlim _slots = new(options.MaxParallel);
    private readonly Dictionary<string, string> _pinned = new(StringComparer.Ordinal);
    private volatile IReadOnlyList<Tool> _tools = [];

    public IReadOnlyList<Tool> Tools => _tools;

    public async Task RunAsync(CancellationToken ct)
    {
        var pause = FirstPause;
        while (!ct.IsCancellationRequested)
        {
            try
            {
                await ServeAsync(() => pause = FirstPause, ct);
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // A worker loop: whatever a foreign server does ends its connection, not this service.
            catch (Exception e)
#pragma warning restore CA1031
            {
                LogLost(_log, name, e.Message, pause.TotalSeconds);
                await Task.Delay(pause, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }

    public void Dispose() => _slots.Dispose();

    /// <summary>Connects, and keeps the tools there as long as the server answers.</summary>
    private async Task ServeAsync(Action connected, CancellationToken ct)
    {
        var client = await McpClient.CreateAsync(Transport(), null, logs, ct);
        try
        {
            _tools = await WithinAsync(limit => ReadToolsAsync(client, limit), ct);
            LogConnected(_log, name, _tools.Count);
            connected();
            while (true)
            {
                // A server that ends its session is told at once; one that only falls silent, by the ping.
                await Task.WhenAny(client.Completion, Task.Delay(options.Look, time, ct));
                ct.ThrowIfCancellationRequested();
                if (client.Completion.IsCompleted)
                    throw new IOException("it ended the session");
                await WithinAsync(limit => client.PingAsync((ModelContextProtocol.RequestOptions?)null, limit).AsTask(), ct);
            }
        }
        finally
        {
            // A server that hangs may hang at the goodbye as well.
            _tools = [];
            await client.DisposeAsync().AsTask().WaitAsync(options.Timeout, time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>A server that takes requests and never answers is as lost as one that takes none.</summary>
    private async Task<T> WithinAsync<T>(Func<CancellationToken, Task<T>> ask, CancellationToken ct)
    {
        using var timeout = new CancellationTokenSource(options.Timeout, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
        try
        {
            return await ask(linked.Token).WaitAsync(linked.Token);
        }
        catch (OperationCanceledException e) when (!ct.IsCancellationRequested)
        {
            throw new TimeoutException("it does not answer", e);
        }
    }

    private IClientTransport Transport() => options.Endpoint is { } endpoint
        ? new HttpClientTransport(
            new HttpClientTransportOptions
            {
                Name = name,
                Endpoint = new Uri(endpoint),
                AdditionalHeaders = options.ApiKey is { } key ? new Dictionary<string, string>(StringComparer.Ordinal) { ["Authorization"] = $"Bearer {key}" } : null,
            },
            logs)
        : new StdioClientTransport(
            new StdioClientTransportOptions
            {
                Name = name,
                Command = options.Command!,
                Arguments = options.Arguments,

                // Our own settings hold secrets that are none of the server's business.
                InheritEnvironmentVariables = false,
            },
            logs);

    private async Task<IReadOnlyList<Tool>> ReadToolsAsync(McpClient client, CancellationToken ct)
    {
        var tools = new List<Tool>();
        foreach (var tool in (await client.ListToolsAsync((ModelContextProtocol.RequestOptions?)null, ct)).Take(MaxTools))
        {
            var hash = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes($"{tool.Description}\n{tool.JsonSchema.GetRawText()}")));
            if (_pinned.TryAdd(tool.Name, hash) || _pinned[tool.Name] == hash)
                tools.Add(new Tool(new McpFunction(ToolCatalog.ToFunctionName($"{name}.{tool.Name}"), tool, _slots), HasSideEffects: true, GivesUntrustedText: true, "extension") { Timeout = options.Timeout });
            else
                LogChanged(_log, name, tool.Name);
        }

        return tools;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "MCP server {Server} offers {Count} tools")]
    private static partial void LogConnected(ILogger logger, string server, int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "MCP server {Server} can not be used: {Reason}; next try in {PauseSeconds} s")]
    private static partial void LogLost(ILogger logger, string server, string reason, double pauseSeconds);

    [LoggerMessage(Level = LogLevel.Warning, Message = "MCP server {Server} changed its tool {Tool} while running; the tool is left out until a restart")]
    private static partial void LogChanged(ILogger logger, string server, string tool);
}

/// <summary>A server's tool under a name that no other source has.</summary>
internal sealed class McpFunction(string name, McpClientTool tool, SemaphoreSlim slots) : AIFunction
{
    public override string Name => name;

    public override string Description => tool.Description;

    public override System.Text.Json.JsonElement JsonSchema => tool.JsonSchema;

    protected override async ValueTask<object?> InvokeCoreAsync(AIFunctionArguments arguments, CancellationToken cancellationToken)
    {
        await slots.WaitAsync(cancellationToken);
        try
        {
            var result = await tool.CallAsync(new Dictionary<string, object?>(arguments, StringComparer.Ordinal), null, null, cancellationToken);
            var text = string.Join('\n', result.Content.OfType<ModelContextProtocol.Protocol.TextContentBlock>().Select(c => c.Text));
            return result.IsError is true
                ? throw new ToolException(ToolCodes.InternalError, text.Length is > 0 and <= 2_000 ? text : "The tool reported an error.", recoverable: true)
                : text;
        }
        finally
        {
            slots.Release();
        }
    }
}
