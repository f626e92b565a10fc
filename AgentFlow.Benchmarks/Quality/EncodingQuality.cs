using System.Diagnostics;
using System.Text;
using AgentFlow.ApiService.Documents.Extraction;
using AgentFlow.Tests.ApiService.Documents.Encodings;

namespace AgentFlow.Benchmarks.Quality;

/// <summary>
/// How often a text of an old encoding is read as it was written, is refused, or is read wrongly: sentences of 28 texts in each encoding that holds
/// them, in 50 to 2,000 characters, alone, in a program and in a table. With <c>uchardet</c> on PATH, what that says of each thirteenth.
/// </summary>
internal static class EncodingQuality
{
    private const int StepOfOther = 13;

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var clock = Stopwatch.StartNew();
        var bySize = new SortedDictionary<int, EncodingTexts.Outcome>();
        var byKind = new SortedDictionary<string, EncodingTexts.Outcome>(StringComparer.Ordinal);
        long bytes = 0;
        foreach (var (sample, page, characters, text, encoded) in EncodingTexts.Fragments(step: 1))
        {
            bool? isRight = TryRead(encoded) is { } read ? read == text : null;
            bytes += encoded.Length;
            bySize[characters] = bySize.GetValueOrDefault(characters, new(0, 0, 0)).With(isRight);
            var kind = $"{sample.Language} in {page}";
            byKind[kind] = byKind.GetValueOrDefault(kind, new(0, 0, 0)).With(isRight);
        }

        clock.Stop();
        var all = bySize.Values.Aggregate((one, other) => new(one.Right + other.Right, one.Refused + other.Refused, one.Wrong + other.Wrong));
        Console.WriteLine($"{"",-36}{"texts",8}{"right",8}{"refused",9}{"wrong",8}");
        foreach (var (characters, outcome) in bySize)
            Print($"{characters} characters", outcome);
        foreach (var (kind, outcome) in byKind.Where(each => each.Value.Right < each.Value.Total))
            Print(kind, outcome);
        Print("all", all);
        Console.WriteLine($"{clock.Elapsed.TotalMilliseconds / all.Total:0.0} ms and {bytes / all.Total} bytes a text");
        await OtherAsync(ct);
        return all.Wrong * 200 <= all.Total && all.Refused * 20 <= all.Total ? 0 : 1;
    }

    private static void Print(string what, EncodingTexts.Outcome outcome) =>
        Console.WriteLine($"{what,-36}{outcome.Total,8}{outcome.Right,8}{outcome.Refused,9}{outcome.Wrong,8}");

    private static string? TryRead(byte[] bytes)
    {
        try
        {
            var detector = new EncodingDetector();
            detector.Append(bytes);
            return detector.Finish().Encoding.GetString(bytes);
        }
        catch (Exception error) when (error is ExtractionFailedException or DecoderFallbackException)
        {
            return null;
        }
    }

    private static async Task OtherAsync(CancellationToken ct)
    {
        var program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, "uchardet")).FirstOrDefault(File.Exists);
        if (program is null)
            return;
        var (ours, other) = (new EncodingTexts.Outcome(0, 0, 0), new EncodingTexts.Outcome(0, 0, 0));
        var file = Path.GetTempFileName();
        try
        {
            foreach (var (_, _, _, text, bytes) in EncodingTexts.Fragments(StepOfOther))
            {
                await File.WriteAllBytesAsync(file, bytes, ct);
                ours = ours.With(TryRead(bytes) is { } read ? read == text : null);
                other = other.With(Decode(bytes, await AskAsync(program, file, ct)) is { } decoded ? decoded == text : null);
            }
        }
        finally
        {
            File.Delete(file);
        }

        Print("of these, ours", ours);
        Print("of these, uchardet", other);
    }

    private static async Task<string> AskAsync(string program, string file, CancellationToken ct)
    {
        using var process = Process.Start(new ProcessStartInfo(program, [file]) { RedirectStandardOutput = true, UseShellExecute = false })!;
        var said = await process.StandardOutput.ReadToEndAsync(ct);
        await process.WaitForExitAsync(ct);
        return said.Trim();
    }

    private static string? Decode(byte[] bytes, string name)
    {
        try
        {
            return (CodePagesEncodingProvider.Instance.GetEncoding(name == "UHC" ? "ks_c_5601-1987" : name) ?? Encoding.GetEncoding(name)).GetString(bytes);
        }
        catch (ArgumentException)
        {
            return null;
        }
    }
}
