using System.Globalization;
using AgentFlow.Tests.Support;

namespace AgentFlow.Benchmarks.Soak;

/// <summary>1,000 users with a canary each and 10,000 searches and filters by them: <c>soak canaries [users [searches [seed]]]</c>.</summary>
internal static class CanarySoak
{
    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var numbers = options.Select(option => int.Parse(option, CultureInfo.InvariantCulture)).ToArray();
        var (users, searches, seed) = (numbers.ElementAtOrDefault(0) is > 0 and var given ? given : 1_000, numbers.ElementAtOrDefault(1) is > 0 and var asked ? asked : 10_000,
            numbers.Length > 2 ? numbers[2] : Random.Shared.Next());
        await using var postgres = await PrivatePostgres.StartAsync();
        await using var host = await BareMemory.StartAsync(await postgres.CreateDatabaseAsync(ct), ct);
        var (foreign, own, answers) = await Canaries.RunAsync(host, users, searches, seed, ct);
        Console.WriteLine($"seed {seed}: {users} users, {answers} searches and filters, {foreign} foreign canaries (goal 0); own canary found {own} of {(searches + 9) / 10} times");
        return foreign == 0 && own == (searches + 9) / 10 ? 0 : 1;
    }
}
