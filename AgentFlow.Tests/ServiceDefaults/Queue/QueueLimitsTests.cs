using System.Text.Json;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ServiceDefaults.Queue;

/// <summary>How many tasks run at once: of one process, and of one owner over all processes.</summary>
public sealed class QueueLimitsTests
{
    private static readonly JsonElement NoInput = JsonElement.Parse("{}");

    [Fact]
    public async Task No_more_run_at_once_than_the_caps_of_a_process_and_of_an_owner()
    {
        var ct = TestContext.Current.CancellationToken;
        var counter = new Counter();
        await using var first = await StartAsync(counter, null);
        await using var second = await StartAsync(counter, first.ConnectionString);
        var queue = first.Services.GetRequiredService<DurableQueue>();
        var owners = Enumerable.Range(0, 3).Select(_ => Guid.CreateVersion7()).ToArray();
        var tasks = new List<(Guid Owner, Guid Id)>();
        foreach (var owner in owners.SelectMany(owner => Enumerable.Repeat(owner, 6)))
            tasks.Add((owner, await queue.EnqueueAsync(new QueuedTask(owner, Counter.Name, NoInput), ct)));

        foreach (var (owner, id) in tasks)
            await Patience.UntilAsync(() => queue.GetAsync(owner, id, ct), task => task!.EndedAt is not null, "the task's end");

        Assert.Equal(tasks.Count, counter.Done);
        Assert.InRange(counter.MostAtOnce, 1, 6);
        Assert.InRange(counter.MostOfOneOwner, 1, 2);
    }

    /// <summary>Three slots in each process, two for each owner.</summary>
    private static Task<FoundationHost> StartAsync(Counter counter, string? connectionString) => FoundationHost.StartAsync(
        builder =>
        {
            builder.Configuration.AddInMemoryCollection(
            [
                KeyValuePair.Create("Queue:Concurrency", (string?)"3"), KeyValuePair.Create("Queue:ConcurrencyPerOwner", (string?)"2"),
                KeyValuePair.Create("Queue:PollInterval", (string?)"00:00:00.020"),
            ]);
            builder.Services.AddTaskQueue();
            builder.Services.AddSingleton<ITaskHandler>(counter);
        },
        connectionString);

    private sealed class Counter : ITaskHandler
    {
        public const string Name = "count";
        private readonly Lock changing = new();
        private readonly Dictionary<Guid, int> running = [];

        public int Done { get; private set; }

        public int MostAtOnce { get; private set; }

        public int MostOfOneOwner { get; private set; }

        public string Kind => Name;

        public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
        {
            lock (changing)
            {
                running[context.OwnerId] = running.GetValueOrDefault(context.OwnerId) + 1;
                MostOfOneOwner = Math.Max(MostOfOneOwner, running[context.OwnerId]);
                MostAtOnce = Math.Max(MostAtOnce, running.Values.Sum());
            }

            // Long enough that others would be claimed meanwhile if nothing held them back.
            await Task.Delay(30, ct);
            lock (changing)
            {
                running[context.OwnerId]--;
                Done++;
            }

            return null;
        }
    }
}
