using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>
/// Wakes this process when another one has changed something: one connection of its own listens on the service's channel. A
/// notification is only a hint and may be lost with the connection, so every subscriber also polls. Payload: <c>topic:text</c>.
/// </summary>
public sealed partial class Notifications : BackgroundService
{
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<Guid, (string Topic, Action<string> Handler)> subscribers = new();
    private readonly DatabaseTarget target;
    private readonly TimeProvider time;
    private readonly ILogger<Notifications> logger;

    internal Notifications(DatabaseTarget target, TimeProvider time, ILogger<Notifications> logger)
    {
        this.target = target;
        this.time = time;
        this.logger = logger;
    }

    /// <summary>Calls the handler, on the listening thread, with what follows the topic; it must return at once and not throw.</summary>
    public IDisposable Subscribe(string topic, Action<string> handler)
    {
        var id = Guid.NewGuid();
        subscribers[id] = (topic, handler);
        return new Subscription(() => subscribers.TryRemove(id, out _));
    }

    /// <summary>Adds a notification to a batch; it is delivered if and when the batch commits. One per batch or change of state, never per token.</summary>
    public void Notify(DbBatch batch, string topic, string text)
    {
        ArgumentNullException.ThrowIfNull(batch);
        batch.Add("select pg_notify($1, $2)", [target.Schema, $"{topic}:{text}"]);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(stoppingToken);
            }
            catch (NpgsqlException error)
            {
                LogLost(error);
                await Task.Delay(PauseAfterFailure, time, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async Task ListenAsync(CancellationToken ct)
    {
        await using var source = DataSources.Create(target.ServiceConnectionString);
        await using var connection = source.CreateConnection();
        connection.Notification += (_, message) => Deliver(message.Payload);
        await connection.OpenAsync(ct);
        await Migrator.ExecuteAsync(connection, $"listen {DatabaseTarget.Quote(target.Schema)}", ct);

        // What happened while nobody listened was missed: everybody looks once.
        foreach (var (_, handler) in subscribers.Values)
        {
            handler(string.Empty);
        }

        while (true)
        {
            await connection.WaitAsync(ct);
        }
    }

    private void Deliver(string payload)
    {
        var colon = payload.IndexOf(':', StringComparison.Ordinal);
        var topic = colon < 0 ? payload : payload[..colon];
        foreach (var (subscribed, handler) in subscribers.Values)
        {
            if (subscribed == topic)
            {
                handler(payload[(colon + 1)..]);
            }
        }
    }

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The listening connection was lost; polling goes on")]
    private partial void LogLost(Exception error);
}
