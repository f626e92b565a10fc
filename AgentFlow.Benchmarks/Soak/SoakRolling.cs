using System.Globalization;
using AgentFlow.Tests.Support;

namespace AgentFlow.Benchmarks.Soak;

/// <summary>
/// Each replica of each service is restarted, twice, while 50 requests a second go on through nginx; clients try as often as the OpenAI
/// client does. <c>-- soak rolling [requests a second] [rounds]</c>
/// </summary>
internal static class SoakRolling
{
    /// <summary>The first try and two more: the default of OpenAI's clients.</summary>
    private const int Tries = 3;

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var rate = options.Length > 0 ? int.Parse(options[0], CultureInfo.InvariantCulture) : 50;
        var rounds = options.Length > 1 ? int.Parse(options[1], CultureInfo.InvariantCulture) : 2;
        if (TwoReplicas.FindNginx() is null)
        {
            Console.WriteLine("There is no nginx: apt install nginx brings it.");
            return 1;
        }

        await using var postgres = await PrivatePostgres.StartAsync(durable: true);
        await using var provider = await ScriptedProvider.StartAsync();
        provider.KeepsRequests = false;
        provider.Respond = _ => Script.Say(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(40), [.. Enumerable.Range(0, 40).Select(i => $"word{i} ")]);
        var settings = Load.StreamLoad.Settings(provider).ToDictionary(pair => pair.Key.Replace(":", "__", StringComparison.Ordinal), pair => pair.Value, StringComparer.Ordinal);
        var (replicas, apiDatabase, memoryDatabase) = await TwoReplicas.StartAsync(postgres, settings, ct);
        await using var disposed = replicas;
        (string, int)[] round = [("memory", 1), ("memory", 2), ("api", 1), ("api", 2), ("web", 1), ("web", 2)];
        using var soak = new RollingSoak(replicas, new RollingPlan([.. Enumerable.Repeat(round, rounds).SelectMany(each => each)], rate, Tries, TimeSpan.FromSeconds(3)));
        var result = await soak.RunAsync(apiDatabase, memoryDatabase, ct);
        Console.WriteLine($"{result.Restarts} restarts under {rate} requests a second: {result.Requests} requests, {result.Retried} needed more than one try (most: {result.MostTries} of {Tries})");
        Console.WriteLine($"failed requests: {result.Failed} (goal 0); streams: {result.Streams}, of which {result.Interrupted} closed early by their process's stop; {result.Resumed} resumed connections");
        Console.WriteLine($"streams that are not exactly their log: {result.Broken} (goal 0); things done twice or not at all: {result.Doubled} (goal 0); replicas that did not end with 0: {result.Unclean}");
        foreach (var fault in result.Faults.Take(20))
            Console.WriteLine($"! {fault}");
        return result.IsSound ? 0 : 1;
    }
}
