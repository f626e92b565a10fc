using AgentFlow.ApiService.Runs;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Runs;

/// <summary>Tests on one host with a database of its own, whose agent each test chooses and lets go on when it wants.</summary>
/// <param name="settings">Of the host.</param>
public abstract class OneHostTests(params (string Key, string Value)[] settings) : IAsyncLifetime
{
    protected static CancellationToken Ct => TestContext.Current.CancellationToken;

    private protected TaskCompletionSource GoOn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private protected string Database { get; private set; } = string.Empty;

    private protected RunsHost Host { get; private set; } = null!;

    private protected AgentRun Agent { get; set; } = TestAgents.EchoAsync;

    public async ValueTask InitializeAsync()
    {
        Database = await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Api);
        Host = await RunsHost.StartAsync(Database, (run, writer, ct) => Agent(run, writer, ct), settings);
    }

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <returns>The stream, standing at its first event of this type.</returns>
    private protected static async Task<IAsyncEnumerator<SseEvent>> ReadToAsync(HttpResponseMessage response, string type)
    {
        var events = SseEvent.ReadAsync(response).GetAsyncEnumerator(Ct);
        await ReadUntilAsync(events, type);
        return events;
    }

    private protected static async Task ReadUntilAsync(IAsyncEnumerator<SseEvent> events, string type)
    {
        while (await events.MoveNextAsync())
        {
            if (events.Current.Type == type)
                return;
        }

        Assert.Fail($"The stream ended without {type}.");
    }
}
