namespace AgentFlow.MemoryService.Mem0.Backend;

/// <summary>Says at the start that a key of Mem0 alone sends nothing anywhere.</summary>
internal sealed partial class IdleMem0Key(ILogger<IdleMem0Key> logger) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        LogIdle();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(Level = LogLevel.Information, Message = "MEM0_API_KEY is set but not used: memories stay in this service. Memory:Backend=mem0 would keep them at Mem0")]
    private partial void LogIdle();
}
