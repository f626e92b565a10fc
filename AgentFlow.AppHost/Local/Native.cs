using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace AgentFlow.AppHost.Local;

/// <summary>The few calls of the C library that .NET does not offer.</summary>
internal static class Native
{
    public const int SigInt = 2;
    public const int SigKill = 9;
    public const int SigTerm = 15;

    public static bool IsRoot => GetEffectiveUser() == 0;

    /// <summary>Sends a signal to one process; a process that is gone already is no error.</summary>
    public static void Signal(int processId, int signal) => _ = Kill(processId, signal);

    /// <summary>Sends a signal to a whole process group; the children started here lead groups of their own.</summary>
    public static void SignalGroup(int leaderId, int signal) => _ = Kill(-leaderId, signal);

    /// <exception cref="StartRefusedException">When the owner can not be changed.</exception>
    public static void GiveTo(string path, ServerUser user)
    {
        if (ChangeOwner(path, user.UserId, user.GroupId) != 0)
            throw new StartRefusedException($"{path} can not be given to the user '{user.Name}': {Marshal.GetLastPInvokeErrorMessage()}.");
    }

    /// <summary>Writes the whole file system that holds the file to its disk. False where the system has no such call or it fails.</summary>
    public static bool TrySyncFileSystemOf(SafeFileHandle file) => OperatingSystem.IsLinux() && SyncFileSystem(file) == 0;

    /// <summary>When a process started, in clock ticks since boot: with the id it names one process for good. Null when it is gone.</summary>
    public static long? StartTime(int processId) => StatField(processId, 22);

    /// <summary>Null when the process is gone.</summary>
    public static int? ParentOf(int processId) => (int?)StatField(processId, 4);

    /// <summary>Example: <c>4711 (some (odd) name) S 1 4711 ...</c>; the name may hold spaces and brackets, so fields count from its last bracket.</summary>
    private static long? StatField(int processId, int number)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{processId}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] == "Z" ? null : long.Parse(fields[number - 3], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return null;
        }
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int processId, int signal);

    [DllImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SyncFileSystem(SafeFileHandle file);

    [DllImport("libc", EntryPoint = "geteuid")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern uint GetEffectiveUser();

    [DllImport("libc", EntryPoint = "chown", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int ChangeOwner([MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint user, uint group);
}
