using System.Diagnostics;
using System.Runtime.InteropServices;
using Npgsql;

namespace AgentFlow.Tests.Support;

/// <summary>
/// A private PostgreSQL cluster on a free loopback port in a temporary folder, for tests and benchmarks. As root, Postgres runs as the
/// user <c>postgres</c>. A guard ends it when this process dies.
/// </summary>
public sealed class PrivatePostgres : IAsyncDisposable
{
    private readonly string password = Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(16));
    private string folder = string.Empty;
    private Process? server;
    private int port;

    /// <param name="durable">True: fsync on, as in production, for measuring; false: as fast as it goes, for tests.</param>
    public static async Task<PrivatePostgres> StartAsync(bool durable = false)
    {
        var cluster = new PrivatePostgres();
        await cluster.RunAsync(durable);
        return cluster;
    }

    public string AdminConnectionString(string database) =>
        new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1", Port = port, Username = "postgres", Password = password, Database = database, Pooling = false, IncludeErrorDetail = true,
        }.ConnectionString;

    /// <summary>Processor time of the server and all of its sessions so far; Linux only.</summary>
    public TimeSpan CpuTime()
    {
        var postmaster = File.ReadLines(Path.Combine(folder, "data", "postmaster.pid")).First();
        var ticks = Directory.GetDirectories("/proc").Where(process => char.IsAsciiDigit(Path.GetFileName(process)[0])).Sum(process => TicksOf(process, postmaster));

        // USER_HZ is 100 wherever Linux runs .NET.
        return TimeSpan.FromSeconds(ticks / 100.0);
    }

    // Raw: "4711 (postgres) S 4700 ...", utime and stime at the 14th and 15th place, those of ended children behind them.
    private static long TicksOf(string process, string postmaster)
    {
        try
        {
            var stat = File.ReadAllText(Path.Combine(process, "stat"));
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            var isPostmaster = Path.GetFileName(process) == postmaster;
            if (!isPostmaster && fields[1] != postmaster)
                return 0;
            return fields.Skip(11).Take(isPostmaster ? 4 : 2).Sum(long.Parse);
        }
        catch (IOException)
        {
            // It ended while we looked; its postmaster counts it from now on.
            return 0;
        }
    }

    /// <summary>A database with a name of its own. Returns the administrator's connection string for it.</summary>
    /// <param name="ct">Ends the attempt.</param>
    /// <param name="template">A database that nobody is connected to and that is copied; null: the new one is empty.</param>
    public async Task<string> CreateDatabaseAsync(CancellationToken ct, string? template = null)
    {
        var name = $"t_{Guid.NewGuid():N}";
        await using var connection = new NpgsqlConnection(AdminConnectionString("postgres"));
        await connection.OpenAsync(ct);
        await using var command = new NpgsqlCommand(template is null ? $"create database {name}" : $"create database {name} template {template}", connection);
        await command.ExecuteNonQueryAsync(ct);
        return AdminConnectionString(name);
    }

    public async ValueTask DisposeAsync()
    {
        if (server is { HasExited: false })
        {
            // The guard shell sends SIGINT (fast shutdown) to Postgres when its input ends.
            server.StandardInput.Close();
            using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
            await server.WaitForExitAsync(limit.Token);
        }

        server?.Dispose();
        if (folder.Length > 0 && Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task RunAsync(bool durable)
    {
        folder = Directory.CreateTempSubdirectory("agentflow-pg-").FullName;
        port = LoopbackPort.Take();
        var bin = FindBinaries();
        var data = Path.Combine(folder, "data");
        var passwordFile = Path.Combine(folder, "pw");
        await File.WriteAllTextAsync(passwordFile, password);
        var asUser = Environment.UserName == "root" ? "setpriv --reuid=postgres --regid=postgres --clear-groups " : string.Empty;
        if (asUser.Length > 0)
        {
            await ShellAsync($"chown -R postgres:postgres '{folder}'");
        }

        await ShellAsync($"{asUser}'{bin}/initdb' -D '{data}' -U postgres -A scram-sha-256 --pwfile='{passwordFile}' -E UTF8 --locale=C --no-sync");
        var options = $"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync={(durable ? "on" : "off")} -c max_connections=400 -c shared_buffers=128MB -c log_min_messages=fatal";
        var guard = $"exec 3<&0; cd /; {asUser}'{bin}/postgres' -D '{data}' {options} </dev/null >'{folder}/log' 2>&1 & p=$!; cat <&3 >/dev/null; kill -INT $p; wait $p";
        server = Process.Start(new ProcessStartInfo("/bin/bash", ["-c", guard]) { RedirectStandardInput = true, UseShellExecute = false })!;
        await WaitUntilReadyAsync();
    }

    private async Task WaitUntilReadyAsync()
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await using var connection = new NpgsqlConnection(AdminConnectionString("postgres"));
                await connection.OpenAsync();
                return;
            }
            catch (NpgsqlException error)
            {
                if (server!.HasExited || attempt > 4_000)
                    throw new InvalidOperationException($"PostgreSQL did not start: {await File.ReadAllTextAsync(Path.Combine(folder, "log"))}", error);

                await Task.Delay(50);
            }
        }
    }

    private static async Task ShellAsync(string command)
    {
        using var process = Process.Start(new ProcessStartInfo("/bin/bash", ["-c", $"cd / && {command}"]) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })!;
        var error = process.StandardError.ReadToEndAsync();
        await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{command} ended with {process.ExitCode}: {await error}");
        }
    }

    private static string FindBinaries()
    {
        IEnumerable<string> places = Directory.Exists("/usr/lib/postgresql")
            ? Directory.GetDirectories("/usr/lib/postgresql").OrderDescending(StringComparer.Ordinal).Select(place => Path.Combine(place, "bin"))
            : [];
        return places.Concat((Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(':'))
            .FirstOrDefault(place => File.Exists(Path.Combine(place, "initdb")) && File.Exists(Path.Combine(place, "postgres")))
            ?? throw new InvalidOperationException("PostgreSQL's initdb and postgres were not found: install the Debian package postgresql.");
    }
}
