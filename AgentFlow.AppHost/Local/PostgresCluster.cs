using System.Globalization;

namespace AgentFlow.AppHost.Local;

/// <summary>The private PostgreSQL: made on the first start, reachable through a socket in a folder that only its user may enter.</summary>
internal sealed class PostgresCluster
{
    public const string FolderName = "postgres";

    /// <summary>A cluster that is still being made; renamed when it is whole, so a kill in between leaves no half cluster.</summary>
    public const string UnfinishedName = "postgres.new";

    /// <summary>The administrator; the services make roles of their own and use this one for nothing else.</summary>
    private const string Administrator = "agentflow";

    /// <summary>Any number; it is part of the socket's name only, since no TCP port is opened.</summary>
    private const int Port = 5432;

    /// <summary>A socket's whole path has 107 characters on Linux; its name takes 20 of them.</summary>
    private const int LongestSocketFolder = 85;

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode OwnerReads = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly PostgresBinaries _binaries;
    private readonly ServerUser? _user;
    private readonly string _data;
    private readonly string _state;
    private readonly string _password;
    private readonly string _sockets;

    public PostgresCluster(string stateFolder, PostgresBinaries binaries, ServerUser? user, string password)
    {
        _state = stateFolder;
        _binaries = binaries;
        _user = user;
        _password = password;
        _data = Path.Combine(stateFolder, FolderName);
        var inside = Path.Combine(stateFolder, "run");
        _sockets = inside.Length <= LongestSocketFolder ? inside : Directory.CreateTempSubdirectory("agentflow-").FullName;
    }

    /// <summary>The release that made the cluster in a state folder; null when there is none.</summary>
    public static int? MajorIn(string stateFolder)
    {
        var file = Path.Combine(stateFolder, FolderName, "PG_VERSION");
        return File.Exists(file) ? int.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture) : null;
    }

    /// <summary>What runs the server in the foreground; ends within a moment when its standard input ends.</summary>
    public IReadOnlyList<string> Command => Guard.Before("INT",
    [
        .. _user?.Prefix ?? [], _binaries.Server, "-D", _data,
        .. Settings(
            "listen_addresses=",
            $"unix_socket_directories={_sockets}",
            string.Create(CultureInfo.InvariantCulture, $"port={Port}"),
            "fsync=on",
            "full_page_writes=on",
            "synchronous_commit=on",
            "max_connections=100",
            "log_timezone=UTC",
            "timezone=UTC",
            "logging_collector=off",
            "log_destination=stderr"),
    ]);

    /// <summary>In Npgsql's form; the host is the socket's folder.</summary>
    public string ConnectionString(string database) => string.Create(
        CultureInfo.InvariantCulture, $"Host={_sockets};Port={Port};Username={Administrator};Password={_password};Database={database}");

    /// <summary>Makes the cluster with its databases unless it is there, and the folder of its socket.</summary>
    /// <exception cref="StartRefusedException">When initdb fails; carries what it printed.</exception>
    public async Task PrepareAsync(Action<string> say, CancellationToken ct)
    {
        MakeFolder(_sockets);
        if (MajorIn(_state) is null)
        {
            say($"First start: making a database with PostgreSQL {_binaries.Major} from {_binaries.Folder}");
            await MakeAsync(ct);
        }

        await EndEarlierServerAsync(say, ct);
    }

    /// <summary>
    /// True once the server that <paramref name="guard"/> runs says in its pid file that it takes connections: the eighth line, as
    /// pg_ctl reads it. The parent is checked, because a killed server leaves the file of its time behind.
    /// </summary>
    public bool IsReady(int guard)
    {
        var lines = PidFile();
        return lines.Length >= 8
            && lines[7].Trim() == "ready"
            && int.TryParse(lines[0], CultureInfo.InvariantCulture, out var server)
            && Native.ParentOf(server) == guard;
    }

    public void RemoveSockets()
    {
        if (Directory.Exists(_sockets) && !_sockets.StartsWith(_state, StringComparison.Ordinal))
            Directory.Delete(_sockets, recursive: true);
    }

    private async Task MakeAsync(CancellationToken ct)
    {
        var unfinished = Path.Combine(_state, UnfinishedName);
        if (Directory.Exists(unfinished))
            Directory.Delete(unfinished, recursive: true);
        MakeFolder(unfinished);
        var data = Path.Combine(unfinished, "data");
        var passwordFile = Path.Combine(unfinished, "password");
        await using (var file = new FileStream(passwordFile, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerReads }))
            await file.WriteAsync(System.Text.Encoding.ASCII.GetBytes(_password), ct);
        if (_user is not null)
            Native.GiveTo(passwordFile, _user);

        // Sorted by bytes, so that no index changes its order with the C library; letters by UTF-8, so that lower() knows them all.
        await RunAsync(
            [_binaries.InitDb, "-D", data, "--username=" + Administrator, "--pwfile=" + passwordFile, "--auth=scram-sha-256", "--data-checksums",
                "--encoding=UTF8", "--locale=C", "--lc-ctype=C.UTF-8", "--no-instructions", "--no-sync"], "", ct);
        await RunAsync(
            [_binaries.Server, "--single", "-F", "-D", data, "postgres"],
            $"create database {ResourceNames.ApiDatabaseName} strategy file_copy;\ncreate database {ResourceNames.MemoryDatabaseName} strategy file_copy;\n",
            ct);
        await SyncAsync(data, passwordFile, ct);
        File.Delete(passwordFile);
        Directory.Move(data, _data);
        Directory.Delete(unfinished);
    }

    /// <summary>Nothing is a cluster before all of it is on the disk: once for all, instead of file by file while it is made.</summary>
    private async Task SyncAsync(string data, string anyFileBeside, CancellationToken ct)
    {
        using var beside = File.OpenHandle(anyFileBeside);
        if (!Native.TrySyncFileSystemOf(beside))
            await RunAsync([_binaries.InitDb, "--sync-only", "-D", data], "", ct);
    }

    private async Task RunAsync(IReadOnlyList<string> command, string input, CancellationToken ct)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["LC_ALL"] = "C" };
        var (exitCode, output) = await Tool.RunAsync([.. _user?.Prefix ?? [], .. command], input, environment, ct);
        if (exitCode != 0 || output.Contains("ERROR:", StringComparison.Ordinal))
            throw new StartRefusedException($"The database could not be made: {command[0]} ended with code {exitCode}.\n{output.Trim()}");
    }

    private void MakeFolder(string path)
    {
        Directory.CreateDirectory(path, OwnerOnly);
        if (_user is not null)
            Native.GiveTo(path, _user);
    }

    /// <summary>A server can outlive its guard when that one is killed; two servers on one cluster must never be, so the first is ended.</summary>
    private async Task EndEarlierServerAsync(Action<string> say, CancellationToken ct)
    {
        var lines = PidFile();
        if (lines.Length == 0 || !int.TryParse(lines[0], CultureInfo.InvariantCulture, out var server) || !Serves(server))
            return;
        say($"Stopping a PostgreSQL of an earlier run (process {server})");
        Native.Signal(server, Native.SigInt);
        var since = TimeProvider.System.GetTimestamp();
        while (Serves(server))
        {
            if (TimeProvider.System.GetElapsedTime(since) > Patience)
                throw new StartRefusedException($"The PostgreSQL of an earlier run (process {server}) does not stop. Stop it, then start again.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), ct);
        }
    }

    private bool Serves(int process)
    {
        try
        {
            return new DirectoryInfo($"/proc/{process}/cwd").ResolveLinkTarget(returnFinalTarget: false)?.FullName == _data;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Example, line by line: <c>4711, /state/postgres, 1795221600, 5432, /state/run, , 2555905 7, ready</c>.</summary>
    private string[] PidFile()
    {
        try
        {
            return File.ReadAllLines(Path.Combine(_data, "postmaster.pid"));
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            return [];
        }
    }

    private static IEnumerable<string> Settings(params string[] settings) => settings.SelectMany(each => new[] { "-c", each });
}
