using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace AgentFlow.AppHost.Local;

/// <summary>
/// The one folder that holds everything AgentFlow keeps on this machine. Open means locked: the lock is the kernel's (flock), so it
/// ends with the process that holds it, however that process ends.
/// </summary>
internal sealed class StateFolder : IDisposable
{
    private const string LockName = "lock";
    private const string OwnerName = "owner.pid";

    /// <summary>Where a folder that the server's user can not reach is kept instead.</summary>
    private const string ReachablePlace = "/var/lib/agentflow";

    /// <summary>Entered by the server's user on the way to the cluster, listed by nobody else.</summary>
    private const UnixFileMode Entered = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly FileStream _lock;

    private StateFolder(string path, FileStream held)
    {
        Path = path;
        _lock = held;
        Logs = System.IO.Path.Combine(path, "logs");
    }

    public string Path { get; }

    public string Logs { get; }

    /// <summary>
    /// Makes, checks and locks the folder.
    /// </summary>
    /// <param name="wanted">An absolute path.</param>
    /// <param name="user">Who else must be able to reach it; null when nobody.</param>
    /// <param name="say">Told when another place had to be taken.</param>
    /// <exception cref="StartRefusedException">When it can not be made, or another AgentFlow holds it.</exception>
    public static async Task<StateFolder> OpenAsync(string wanted, ServerUser? user, Action<string> say, CancellationToken ct)
    {
        Make(wanted, user);
        var path = wanted;
        if (user is not null && !await ReachesAsync(user, wanted, ct))
        {
            var name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(wanted)))[..8];
            path = System.IO.Path.Combine(ReachablePlace, name);
            Directory.CreateDirectory(ReachablePlace);
            Make(path, user);
            if (!await ReachesAsync(user, path, ct))
                throw new StartRefusedException($"PostgreSQL's user '{user.Name}' can reach neither {wanted} nor {path}. Set {ResourceNames.Local.Home} to a folder that it can.");
            say($"State is kept in {path}, because PostgreSQL's user '{user.Name}' can not reach {wanted}.");
        }

        var held = Lock(path);
        var folder = new StateFolder(path, held);
        Directory.CreateDirectory(folder.Logs, Private);
        await File.WriteAllTextAsync(System.IO.Path.Combine(path, OwnerName), Environment.ProcessId.ToString(CultureInfo.InvariantCulture), ct);
        return folder;
    }

    /// <summary>Deletes what AgentFlow has made here and nothing else, should the folder be shared with other things.</summary>
    public void Reset()
    {
        foreach (var name in new[] { PostgresCluster.FolderName, PostgresCluster.UnfinishedName, QdrantServer.FolderName, "logs" })
        {
            var folder = System.IO.Path.Combine(Path, name);
            if (Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
        }

        File.Delete(System.IO.Path.Combine(Path, Secrets.FileName));
        Directory.CreateDirectory(Logs, Private);
    }

    public void Dispose()
    {
        File.Delete(System.IO.Path.Combine(Path, OwnerName));
        _lock.Dispose();
    }

    private static void Make(string path, ServerUser? user)
    {
        try
        {
            Directory.CreateDirectory(path, user is null ? Private : Entered);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new StartRefusedException($"The state folder {path} can not be made: {failure.Message} Set {ResourceNames.Local.Home} to a folder that can.");
        }
    }

    private static FileStream Lock(string path)
    {
        try
        {
            return new FileStream(System.IO.Path.Combine(path, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException)
        {
            var ownerFile = System.IO.Path.Combine(path, OwnerName);
            var owner = File.Exists(ownerFile) ? $" (process {File.ReadAllText(ownerFile)})" : "";
            throw new StartRefusedException(
                $"The state folder {path} is in use by another AgentFlow{owner}. Stop that one first, or set {ResourceNames.Local.Home} to another folder.");
        }
        catch (UnauthorizedAccessException failure)
        {
            throw new StartRefusedException($"The state folder {path} can not be locked: {failure.Message} It may belong to another user; set {ResourceNames.Local.Home} to a folder of your own.");
        }
    }

    /// <summary>Asked of the kernel as that user: mode bits along the way say too little where access lists or mounts are involved.</summary>
    private static async Task<bool> ReachesAsync(ServerUser user, string path, CancellationToken ct) =>
        (await Tool.RunAsync([.. user.Prefix, "test", "-x", path], "", new Dictionary<string, string>(StringComparer.Ordinal), ct)).ExitCode == 0;
}
