using Microsoft.Extensions.Hosting;

namespace AgentFlow.ServiceDefaults.Hosting;

/// <summary>
/// Stops the service when the process that started it is gone, however it died: the parent holds the other end of our standard input.
/// Only where the parent says so (<c>AGENTFLOW_PARENT_PIPE=1</c>): with <c>/dev/null</c> as input the service would stop at once.
/// </summary>
internal sealed class ParentLifeline(IHostApplicationLifetime lifetime) : IHostedService
{
    public const string Variable = "AGENTFLOW_PARENT_PIPE";

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (Environment.GetEnvironmentVariable(Variable) == "1")
        {
            // A blocking read on a thread of its own: the pool's threads are for requests.
            new Thread(WaitForEnd) { IsBackground = true, Name = "parent lifeline" }.Start();
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private void WaitForEnd()
    {
        using var input = Console.OpenStandardInput();
        Span<byte> ignored = stackalloc byte[64];
        while (input.Read(ignored) > 0)
        {
        }

        lifetime.StopApplication();
    }
}
