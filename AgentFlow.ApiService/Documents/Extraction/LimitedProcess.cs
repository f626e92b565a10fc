using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>What a process that parses somebody else's file may use.</summary>
/// <param name="Cpu">CPU seconds; the kernel ends it after.</param>
/// <param name="MemoryMiB">Memory that it may hold.</param>
/// <param name="Wall">Time on the clock; we end it after.</param>
internal sealed record ProcessLimits(int Cpu, int MemoryMiB, TimeSpan Wall);

/// <summary>
/// A child with kernel limits (prlimit) on CPU, memory, files and writes, an empty environment, no input and bounded error output. It is
/// ended, with whatever it started, when its time is over, when the caller gives up and when it is disposed.
/// </summary>
internal sealed class LimitedProcess : IAsyncDisposable
{
    private const int MaxErrorCharacters = 4_000;
    private const int MaxOpenFiles = 256;
    private static readonly string? PrLimit = Find("prlimit");

    private readonly Process process;
    private readonly CancellationTokenSource wall;
    private readonly CancellationTokenRegistration onEnd;
    private readonly Task<string> errors;

    private LimitedProcess(Process process, TimeSpan wallLimit, CancellationToken ct)
    {
        this.process = process;
        wall = new CancellationTokenSource(wallLimit);
        var ended = CancellationTokenSource.CreateLinkedTokenSource(wall.Token, ct);
        onEnd = ended.Token.Register(() =>
        {
            Kill();
            ended.Dispose();
        });
        errors = ReadErrorsAsync(process.StandardError);
    }

    public Stream Output => process.StandardOutput.BaseStream;

    /// <summary>True when we ended it because its time was over.</summary>
    public bool IsOutOfTime => wall.IsCancellationRequested;

    /// <param name="program">An absolute path.</param>
    /// <param name="arguments">Passed as they are; no shell.</param>
    /// <param name="environment">All that the child sees.</param>
    /// <param name="limits">What it may use.</param>
    /// <param name="ct">Ends the child.</param>
    public static LimitedProcess Start(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, ProcessLimits limits, CancellationToken ct)
    {
        var start = new ProcessStartInfo
        {
            FileName = PrLimit ?? program,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = Path.GetPathRoot(Path.GetTempPath())!,
        };
        if (PrLimit is not null)
        {
            // RLIMIT_DATA counts memory that can be written; RLIMIT_AS would also count what the runtime only reserves.
            var data = ((long)limits.MemoryMiB + 192) * 1024 * 1024;
            foreach (var option in (string[])[
                string.Create(CultureInfo.InvariantCulture, $"--cpu={limits.Cpu}"), string.Create(CultureInfo.InvariantCulture, $"--data={data}"),
                string.Create(CultureInfo.InvariantCulture, $"--nofile={MaxOpenFiles}"), "--fsize=0", "--core=0", "--", program])
                start.ArgumentList.Add(option);
        }

        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment.Clear();
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        var child = Process.Start(start) ?? throw new InvalidOperationException($"{program} could not be started.");
        child.StandardInput.Close();
        return new LimitedProcess(child, limits.Wall, ct);
    }

    /// <summary>A program on PATH, or null.</summary>
    public static string? Find(string name) => (Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin").Split(Path.PathSeparator)
        .Where(folder => folder.Length > 0).Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    /// <summary>Waits for the end after the output was read. A signal shows as 128 and its number.</summary>
    public async Task<(int ExitCode, string Errors)> EndAsync(CancellationToken ct)
    {
        await process.WaitForExitAsync(ct);
        return (process.ExitCode, await errors);
    }

    public async ValueTask DisposeAsync()
    {
        Kill();
        await onEnd.DisposeAsync();
        wall.Dispose();
        await errors;
        process.Dispose();
    }

    private static async Task<string> ReadErrorsAsync(StreamReader reader)
    {
        var kept = new StringBuilder();
        var buffer = new char[1_024];
        try
        {
            while (await reader.ReadAsync(buffer) is > 0 and var count)
                kept.Append(buffer, 0, Math.Min(count, Math.Max(0, MaxErrorCharacters - kept.Length)));
        }
        catch (IOException)
        {
            // The child ended in the middle of a line.
        }

        return kept.ToString();
    }

    private void Kill()
    {
        try
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
        catch (Exception error) when (error is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            // It ended by itself meanwhile.
        }
    }
}
