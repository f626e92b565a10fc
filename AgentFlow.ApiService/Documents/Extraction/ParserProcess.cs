using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>Runs this service's own executable as a parser (<see cref="ExtractVerb"/>) and reads what it finds.</summary>
internal static class ParserProcess
{
    /// <exception cref="ExtractionFailedException">The parser refused the file, crashed on it, or met a limit.</exception>
    public static async IAsyncEnumerable<TextWindow> ReadAsync(
        DocumentFormat format, string file, string? fetchedAs, DocumentOptions options, [EnumeratorCancellation] CancellationToken ct)
    {
        var limits = new ProcessLimits(options.ExtractionCpuSeconds, options.ExtractionMemoryMiB, options.ExtractionTimeout);
        string[] arguments =
        [
            typeof(ParserProcess).Assembly.Location, ExtractVerb.Name, DocumentKinds.NameOf(format), file,
            options.MaxTextCharacters.ToString(CultureInfo.InvariantCulture), options.MaxUnpackedBytes.ToString(CultureInfo.InvariantCulture),
            .. fetchedAs is null ? Array.Empty<string>() : [fetchedAs],
        ];
        await using var parser = LimitedProcess.Start(DotNet(), arguments, ParserEnvironment(options), limits, ct);
        await using var windows = ExtractionFrames.ReadAsync(parser.Output, ct).GetAsyncEnumerator(ct);
        while (true)
        {
            bool more;
            try
            {
                more = await windows.MoveNextAsync();
            }
            catch (Exception error) when (error is InvalidDataException or EndOfStreamException or IOException or System.Text.Json.JsonException)
            {
                ct.ThrowIfCancellationRequested();
                var (exit, errors) = await parser.EndAsync(ct);
                throw new ExtractionFailedException(Reason(parser.IsOutOfTime, exit, errors));
            }

            if (!more)
                yield break;
            yield return windows.Current;
        }
    }

    /// <summary>152 is SIGXCPU, 137 SIGKILL (the kernel's last word on CPU time), 134 SIGABRT (a crash of the runtime, such as of the stack).</summary>
    internal static string Reason(bool isOutOfTime, int exit, string errors)
    {
        if (isOutOfTime || exit is 152 or 137)
            return "It takes too long to read; it may be made to do so.";
        return errors.Contains("OutOfMemory", StringComparison.Ordinal) || errors.Contains("out of memory", StringComparison.OrdinalIgnoreCase)
            ? "It is too large: reading it needs more memory than one document may use."
            : "It is damaged, or made to harm: reading it ended abnormally.";
    }

    /// <summary>The one that runs this process, or the one that its runtime belongs to (.../shared/Microsoft.NETCore.App/10.0.x/).</summary>
    private static string DotNet()
    {
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            return Environment.ProcessPath!;
        var root = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        var found = Path.Combine(root, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet");
        return File.Exists(found) ? found : LimitedProcess.Find("dotnet") ?? throw new InvalidOperationException("dotnet was not found beside its runtime or on PATH.");
    }

    private static Dictionary<string, string> ParserEnvironment(DocumentOptions options) => new(StringComparer.Ordinal)
    {
        ["DOTNET_GCHeapHardLimit"] = string.Create(CultureInfo.InvariantCulture, $"0x{(long)options.ExtractionMemoryMiB * 1024 * 1024:X}"),
        ["DOTNET_gcServer"] = "0",
        ["DOTNET_gcConcurrent"] = "0",
        ["DOTNET_EnableDiagnostics"] = "0",
        // Its double mapping is a file in memory, which the limit on writes forbids.
        ["DOTNET_EnableWriteXorExecute"] = "0",
        ["DOTNET_TieredPGO"] = "0",
        ["DOTNET_NOLOGO"] = "1",
        ["LANG"] = "C.UTF-8",
    };
}
