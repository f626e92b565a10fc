using AgentFlow.Contracts;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Tools.Mcp;

/// <summary>
/// The tools of the configured MCP servers. Each server has a connection of its own that is made in the background, looked after, and made
/// anew with growing pauses; while it is down its tools are not there. Thread-safe.
/// </summary>
internal sealed class McpTools(IOptions<ToolOptions> options, TimeProvider time, ILoggerFactory logs) : BackgroundService, IToolSource
{
    private readonly McpServer[] _servers = [.. options.Value.Mcp.Select(server => new McpServer(server.Key, server.Value, time, logs))];

    public IReadOnlyCollection<Tool> Tools => [.. _servers.SelectMany(s => s.Tools)];

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(_servers.Select(s => s.RunAsync(stoppingToken)));

    public override void Dispose()
    {
        foreach (var server in _servers)
            server.Dispose();
        base.Dispose();
    }
}
