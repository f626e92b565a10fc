using System.Globalization;
using System.Text;

namespace AgentFlow.AppHost.Local;

/// <summary>One process's log: <c>api.log</c>, and <c>api.1.log</c> with what came before; together at most twice the bound.</summary>
internal sealed class LogFile(string folder, string name) : IDisposable
{
    /// <summary>Bytes after which a file is put aside, replacing the one that was put aside before.</summary>
    private const long Bound = 10 * 1024 * 1024;

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly Lock _gate = new();
    private FileStream? _file;

    public void Write(string line)
    {
        var bytes = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetUtcNow():yyyy-MM-ddTHH:mm:ss.fffZ} {line}\n"));
        lock (_gate)
        {
            _file ??= Open();
            if (_file.Length > Bound)
            {
                _file.Dispose();
                File.Move(Current, Path.Combine(folder, name + ".1.log"), overwrite: true);
                _file = Open();
            }

            _file.Write(bytes);
            _file.Flush();
        }
    }

    public void Dispose() => _file?.Dispose();

    private string Current => Path.Combine(folder, name + ".log");

    private FileStream Open() => new(
        Current, new FileStreamOptions { Mode = FileMode.Append, Access = FileAccess.Write, Share = FileShare.ReadWrite | FileShare.Delete, UnixCreateMode = OwnerOnly });
}
