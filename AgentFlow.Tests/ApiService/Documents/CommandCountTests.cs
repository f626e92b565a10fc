using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>Lists and searches cost the same number of SQL commands whatever they return.</summary>
public sealed class CommandCountTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Lists_and_searches_take_a_constant_number_of_round_trips()
    {
        await using var host = await ApiHost.StartAsync(new() { ["Models:Extractive:WordsPerSecond"] = "0" });
        var few = new DocumentClient(await host.RegisterAsync());
        var many = new DocumentClient(await host.RegisterAsync());
        await FillAsync(few, 2);
        await FillAsync(many, 40);
        var document = (await many.UploadAsync("long.md", Long(300))).Id!.Value;
        await many.FinishedAsync(document);
        var small = (await few.UploadAsync("short.md", Long(3))).Id!.Value;
        await few.FinishedAsync(small);

        var (shortTalk, longTalk) = (await TalkAsync(few, 1, 1), await TalkAsync(many, 4, 3));
        foreach (var (ofFew, ofMany) in ((Func<Task>, Func<Task>)[])[
            (() => GetAsync(few, "/api/documents?limit=200"), () => GetAsync(many, "/api/documents?limit=200")),
            (() => GetAsync(few, "/api/tasks?limit=200"), () => GetAsync(many, "/api/tasks?limit=200")),
            (() => GetAsync(few, "/api/collections"), () => GetAsync(many, "/api/collections")),
            (() => GetAsync(few, $"/api/documents/{small}/chunks?limit=200"), () => GetAsync(many, $"/api/documents/{document}/chunks?limit=200")),
            (() => GetAsync(few, $"/api/documents/{small}/text"), () => GetAsync(many, $"/api/documents/{document}/text")),
            (() => GetAsync(few, "/api/chat?limit=50"), () => GetAsync(many, "/api/chat?limit=50")),
            (() => GetAsync(few, $"/api/chat/{shortTalk}/history"), () => GetAsync(many, $"/api/chat/{longTalk}/history")),
            (() => GetAsync(few, "/api/chat/search?q=number"), () => GetAsync(many, "/api/chat/search?q=number")),
            (() => GetAsync(few, "/api/agents"), () => GetAsync(many, "/api/agents")),
            (() => GetAsync(few, "/api/auth/keys"), () => GetAsync(many, "/api/auth/keys")),
            (() => few.SearchAsync("words about number", 50), () => many.SearchAsync("words about number", 50))])
        {
            var (first, second) = (await CountAsync(ofFew), await CountAsync(ofMany));
            Assert.True(first == second && first > 0, $"{first} round trips for few rows, {second} for many.");
        }
    }

    private static async Task FillAsync(DocumentClient client, int count)
    {
        for (var i = 0; i < count; i++)
            await client.IngestAsync(string.Create(CultureInfo.InvariantCulture, $"{i}.txt"), $"Some words about number {i} and nothing else.");
    }

    /// <summary>Conversations of so many questions each, and keys and agents in their number. Returns the last conversation.</summary>
    private static async Task<string> TalkAsync(DocumentClient client, int conversations, int questions)
    {
        string? last = null;
        for (var i = 0; i < conversations; i++)
        {
            last = null;
            for (var question = 0; question < questions; question++)
                last = await AskAsync(client, $"What is said about number {question}?", last);
            using var key = await client.Http.PostAsJsonAsync("/api/auth/keys", new ApiKeyRequest { Name = $"key {i}", Scopes = ["read"] }, ContractJson.Options, Ct);
            key.EnsureSuccessStatusCode();
            using var agent = await client.Http.PostAsJsonAsync("/api/agents", new { slug = $"agent-{i}", instructions = "Answer." }, Ct);
            agent.EnsureSuccessStatusCode();
        }

        return last!;
    }

    private static async Task<string> AskAsync(DocumentClient client, string question, string? conversation)
    {
        object body = conversation is null ? new { question } : new { question, conversationId = conversation };
        using var response = await client.Http.PostAsJsonAsync("/api/v1/chat/query", body, Ct);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Ct));
        return (await response.Content.ReadFromJsonAsync<JsonElement>(Ct)).GetProperty("conversationId").GetString()!;
    }

    private static string Long(int sections) => string.Concat(Enumerable.Range(0, sections).Select(i => $"# Section {i}\n\nWords about number {i}, {new string('x', 400)} {i}.\n\n"));

    private static async Task GetAsync(DocumentClient client, string path)
    {
        using var response = await client.Http.GetAsync(path, Ct);
        response.EnsureSuccessStatusCode();
    }

    /// <summary>The least of a few tries: a try may meet a cache that has just run out, or passages that are on their way to the index.</summary>
    private static async Task<int> CountAsync(Func<Task> request)
    {
        var least = int.MaxValue;
        for (var i = 0; i < 5; i++)
            least = Math.Min(least, await CountOnceAsync(request));
        return least;
    }

    /// <summary>Npgsql makes one span for each round trip; those of the request are children of ours.</summary>
    private static async Task<int> CountOnceAsync(Func<Task> request)
    {
        var count = 0;
        using var source = new ActivitySource("AgentFlow.Tests.CommandCount");
        var trace = default(ActivityTraceId);
        using var listener = new ActivityListener
        {
            ShouldListenTo = each => each.Name is "Npgsql" or "AgentFlow.Tests.CommandCount" or "Microsoft.AspNetCore" or "System.Net.Http",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                // A connection that the pool opens meanwhile is a span of its own, and no command.
                if (activity.Source.Name == "Npgsql" && activity.TraceId == trace && !activity.DisplayName.StartsWith("CONNECT", StringComparison.Ordinal))
                    Interlocked.Increment(ref count);
            },
        };
        ActivitySource.AddActivityListener(listener);
        using (var root = source.StartActivity("request"))
        {
            trace = root!.TraceId;
            await request();
        }

        return count;
    }
}
