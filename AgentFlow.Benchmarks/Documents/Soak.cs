using System.Globalization;
using AgentFlow.Tests.Support;

namespace AgentFlow.Benchmarks.Documents;

/// <summary>Kills the service 200 times while it ingests 50 files. Options: <c>--kills N</c>, <c>--seed N</c>.</summary>
internal static class Soak
{
    private const int Files = 50;

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        int Option(string name, int otherwise) =>
            Array.IndexOf(options, name) is >= 0 and var at && at + 1 < options.Length ? int.Parse(options[at + 1], CultureInfo.InvariantCulture) : otherwise;
        await using var postgres = await PrivatePostgres.StartAsync(durable: true);
        var problems = await IngestionSoak.RunAsync(postgres, Option("--kills", 200), Files, Option("--seed", Environment.TickCount), Console.WriteLine, ct);
        foreach (var problem in problems)
            Console.WriteLine(problem);
        return problems.Count == 0 ? 0 : 1;
    }
}
