using System.Diagnostics;
using System.Net.Sockets;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>Runs before anything listens or works: waits for Postgres, then migrates. A start that fails here stops the process.</summary>
internal sealed partial class DatabaseStart(Migrator migrator, IOptions<PostgresOptions> options, TimeProvider time, ILogger<DatabaseStart> logger)
    : IHostedLifecycleService
{
    private static readonly TimeSpan PauseBetweenTries = TimeSpan.FromMilliseconds(50);

    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            try
            {
                await migrator.RunAsync(cancellationToken);
                LogReady(time.GetElapsedTime(started).TotalMilliseconds);
                return;
            }
            catch (NpgsqlException error) when (IsNotThereYet(error) && time.GetElapsedTime(started) < options.Value.StartTimeout)
            {
                await Task.Delay(PauseBetweenTries, time, cancellationToken);
            }
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Nobody listens yet, or it listens and is still recovering.</summary>
    private static bool IsNotThereYet(NpgsqlException error) =>
        error.InnerException is SocketException or IOException or TimeoutException
        || error.SqlState is PostgresErrorCodes.CannotConnectNow or PostgresErrorCodes.TooManyConnections;

    [LoggerMessage(Level = LogLevel.Information, Message = "The database is ready after {ElapsedMs:0} ms")]
    private partial void LogReady(double elapsedMs);
}
