using System.Diagnostics;
using System.Globalization;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>Lists and searches cost the same number of SQL commands whatever they return.</summary>
public sealed class CommandCountTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Lists_and_searches_take_a_constant_number_of_round_trips()
    {
        // Nothing that is remembered for some seconds is asked for once more because the machine is slow.
        await using var host = await ApiHost.StartAsync([], builder => builder.Services.AddSingleton<TimeProvider>(new StoppedClock()));
        var few = new DocumentClient(await host.RegisterAsync());
        var many = new DocumentClient(await host.RegisterAsync());
        await FillAsync(few, 2);
        await FillAsync(many, 40);
        var document = (await many.UploadAsync("long.md", Long(300))).Id!.Value;
        await many.FinishedAsync(document);
        var small = (await few.UploadAsync("short.md", Long(3))).Id!.Value;
        await few.FinishedAsync(small);

        foreach (var (ofFew, ofMany) in ((Func<Task>, Func<Task>)[])[
            (() => GetAsync(few, "/api/documents?limit=200"), () => GetAsync(many, "/api/documents?limit=200")),
            (() => GetAsync(few, "/api/tasks?limit=200"), () => GetAsync(many, "/api/tasks?limit=200")),
            (() => GetAsync(few, "/api/collections"), () => GetAsync(many, "/api/collections")),
            (() => GetAsync(few, $"/api/documents/{small}/chunks?limit=200"), () => GetAsync(many, $"/api/documents/{document}/chunks?limit=200")),
            (() => GetAsync(few, $"/api/documents/{small}/text"), () => GetAsync(many, $"/api/documents/{document}/text")),
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

    private static string Long(int sections) => string.Concat(Enumerable.Range(0, sections).Select(i => $"# Section {i}\n\nWords about number {i}, {new string('x', 400)} {i}.\n\n"));

    private static async Task GetAsync(DocumentClient client, string path)
    {
        using var response = await client.Http.GetAsync(path, Ct);
        response.EnsureSuccessStatusCode();
    }

    /// <summary>Npgsql makes one span for each round trip; those of the request are children of ours. Done twice: the first may fill a cache.</summary>
    private static async Task<int> CountAsync(Func<Task> request)
    {
        await request();
        var count = 0;
        using var source = new ActivitySource("AgentFlow.Tests.CommandCount");
        var trace = default(ActivityTraceId);
        using var listener = new ActivityListener
        {
            ShouldListenTo = each => each.Name is "Npgsql" or "AgentFlow.Tests.CommandCount" or "Microsoft.AspNetCore" or "System.Net.Http",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                if (activity.Source.Name == "Npgsql" && activity.TraceId == trace)
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
