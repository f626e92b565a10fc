using System.Text.Json;
using AgentFlow.ServiceDefaults.Postgres;
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

    [Fact]
    public async Task Of_one_owners_tasks_the_more_urgent_come_first_and_another_process_hears_of_them_at_once()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync(builder =>
        {
            builder.Configuration.AddInMemoryCollection([KeyValuePair.Create("Queue:Enabled", (string?)"false")]);
            builder.Services.AddTaskQueue();
        });
        await using var other = await FoundationHost.StartAsync(connectionString: host.ConnectionString);

        // The first word comes when the other process listens, and means only that something may have been missed.
        using var heard = new SemaphoreSlim(0);
        using var subscription = other.Services.GetRequiredService<Notifications>().Subscribe(TaskStore.Due, _ => heard.Release());
        var (queue, owner) = (host.Services.GetRequiredService<DurableQueue>(), Guid.CreateVersion7());
        await Patience.UntilAsync(
            async () =>
            {
                await queue.EnqueueAsync(new QueuedTask(owner, "heard", NoInput), ct);
                return await heard.WaitAsync(TimeSpan.FromMilliseconds(100), ct);
            },
            "a word of what is due");
        var ids = new List<Guid>();
        foreach (var priority in new short[] { 0, -1, 5, 0 })
            ids.Add(await queue.EnqueueAsync(new QueuedTask(owner, "k", NoInput) { Priority = priority }, ct));

        var claimed = new List<Guid>();
        for (var i = 0; i < ids.Count; i++)
            claimed.AddRange((await host.Services.GetRequiredService<TaskStore>().ClaimAsync(["k"], 1, 4, TimeSpan.FromMinutes(1), ct)).Select(claim => claim.Id));
        Assert.Equal([ids[2], ids[0], ids[3], ids[1]], claimed);
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
