using System.Diagnostics;

namespace AgentFlow.Benchmarks.Load;

/// <summary>
/// The front end in a real browser. The measurements stand among the tests, where the browser and the running product are, and are left out of a
/// test run; this starts them. Needs AgentFlow.Tests to be built.
/// </summary>
internal static class WebLoad
{
    private const string Measurements = "AgentFlow.Tests.EndToEnd.WebFigures";
    private const string Checks = "AgentFlow.Tests.EndToEnd.WebPagesTests";

    /// <param name="options">Names of single measurements, such as Long_conversation; none: all.</param>
    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        var tests = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "..", "..", "AgentFlow.Tests", "bin", configuration, "net10.0", "AgentFlow.Tests.dll"));
        if (!File.Exists(tests))
        {
            Console.WriteLine($"Build the tests first: dotnet build AgentFlow.Tests -c {configuration}");
            return 2;
        }

        string[] which = options.Length == 0 ? ["-class", Measurements, "-class", Checks] : [.. options.SelectMany(name => new[] { "-method", $"{Measurements}.{name}" })];
        using var process = Process.Start(new ProcessStartInfo("dotnet", [tests, "-noLogo", "-noColor", "-explicit", "on", "-showLiveOutput", .. which]) { UseShellExecute = false })!;
        await process.WaitForExitAsync(ct);
        return process.ExitCode;
    }
}
