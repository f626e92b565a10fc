namespace AgentFlow.Benchmarks.Load;

/// <summary>Prints what was measured beside what was asked for, and remembers whether anything fell short.</summary>
internal sealed class Figures
{
    private bool allMet = true;

    public int ExitCode => allMet ? 0 : 1;

    public void Report(string what, double value, string unit, double? atMost = null, double? atLeast = null)
    {
        var met = (atMost is null || value <= atMost) && (atLeast is null || value >= atLeast);
        allMet &= met;
        var goal = atMost is { } most ? $"(goal at most {most:0.##})" : atLeast is { } least ? $"(goal at least {least:0.##})" : "";
        Console.WriteLine($"{(met ? "  " : "! ")}{what,-64} {value,10:0.00} {unit} {goal}");
    }

    public static double Percentile(IEnumerable<double> values, double percent)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length == 0 ? double.NaN : sorted[Math.Clamp((int)Math.Ceiling(sorted.Length * percent / 100) - 1, 0, sorted.Length - 1)];
    }
}
