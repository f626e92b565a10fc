using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;

namespace AgentFlow.Tests.Support;

/// <summary>
/// Users of whom each keeps a word that nobody else has, in as alike a sentence as there can be. They search, list and filter at random, often
/// for the words of the others; the answers must never hold one. Half of the users have an account each; the others share accounts, and are
/// kept apart by keys that are bound to a subject.
/// </summary>
internal static class Canaries
{
    private const int SharedBy = 10;

    private sealed record User(HttpClient Http, string Subject, string Canary);

    /// <returns>How many answers held a foreign canary, how many of the user's own were found when asked for, and how many answers there were.</returns>
    internal static async Task<(int Foreign, int Own, int Answers)> RunAsync(BareMemory host, int users, int searches, int seed, CancellationToken ct)
    {
        var random = new Random(seed);
        var all = new List<User>(users);
        for (var i = 0; i < users; i++)
            all.Add(await MakeAsync(host, i, i % 2 == 0 ? Guid.CreateVersion7() : Shared(i, seed), ct));
        var (foreign, own, answers) = (0, 0, 0);
        for (var i = 0; i < searches; i++)
        {
            var (asks, victim) = (all[random.Next(users)], all[random.Next(users)]);
            var answer = await AskAsync(asks, victim, random, ct);
            answers += answer.Length > 0 ? 1 : 0;
            foreign += all.Any(user => user != asks && answer.Contains(user.Canary, StringComparison.Ordinal)) ? 1 : 0;
            if (i % 10 == 0)
                own += (await PostAsync(asks, Query("what is the secret word", $$"""{"userId":"{{asks.Subject}}"}"""), ct)).Contains(asks.Canary, StringComparison.Ordinal) ? 1 : 0;
        }

        foreach (var user in all)
            user.Http.Dispose();
        return (foreign, own, answers);
    }

    private static Guid Shared(int number, int seed)
    {
        var bytes = new byte[16];
        new Random(HashCode.Combine(number / (2 * SharedBy), seed)).NextBytes(bytes);
        return new Guid(bytes);
    }

    private static async Task<User> MakeAsync(BareMemory host, int number, Guid owner, CancellationToken ct)
    {
        var subject = string.Create(CultureInfo.InvariantCulture, $"user-{number}");
        var canary = $"zq{Guid.NewGuid():N}";
        var http = await host.ClientAsync(owner, number % 2 == 0 ? null : new MemoryScope { UserId = subject }, ct);
        var added = await http.PostAsJsonAsync("/api/memories", new { text = $"The secret word is {canary}", userId = subject, infer = false, metadata = new { canary } }, ContractJson.Options, ct);
        added.EnsureSuccessStatusCode();
        return new User(http, subject, canary);
    }

    private static Task<string> AskAsync(User asks, User victim, Random random, CancellationToken ct) => random.Next(8) switch
    {
        0 => PostAsync(asks, Query(victim.Canary, $$"""{"userId":"{{asks.Subject}}"}"""), ct),
        1 => PostAsync(asks, Query("The secret word is", $$"""{"userId":"{{victim.Subject}}"}"""), ct),
        2 => PostAsync(asks, Query(victim.Canary, $$"""{"OR":[{"userId":"{{asks.Subject}}"},{"userId":"{{victim.Subject}}"}]}"""), ct),
        3 => PostAsync(asks, Query("secret", $$$$"""{"userId":{"in":["{{{{asks.Subject}}}}","{{{{victim.Subject}}}}"]},"NOT":{"metadata":{"canary":"{{{{asks.Canary}}}}"}}}"""), ct),
        4 => PostAsync(asks, Query("secret", $$$$"""{"userId":"{{{{victim.Subject}}}}","metadata":{"canary":{"icontains":"{{{{victim.Canary[..8]}}}}"}}}"""), ct),
        5 => GetAsync(asks, $"/api/memories?limit=200&filter={Uri.EscapeDataString($$$"""{"metadata":{"canary":"{{{victim.Canary}}}"}}""")}", ct),
        6 => GetAsync(asks, $"/api/memories?limit=200&userId={victim.Subject}", ct),
        _ => GetAsync(asks, "/api/events?limit=1000", ct),
    };

    private static string Query(string query, string filter) => $$"""{"query":{{JsonSerializer.Serialize(query)}},"filter":{{filter}},"topK":50,"explain":true}""";

    private static async Task<string> PostAsync(User user, string body, CancellationToken ct)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await user.Http.PostAsync("/api/memories/search", content, ct);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadAsStringAsync(ct);
    }

    private static async Task<string> GetAsync(User user, string path, CancellationToken ct)
    {
        using var response = await user.Http.GetAsync(path, ct);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadAsStringAsync(ct);
    }
}
