using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ServiceDefaults.Queue;

public sealed class TaskWorkerTests
{
    private static readonly JsonElement NoInput = JsonElement.Parse("{}");

    [Fact]
    public async Task A_task_runs_once_and_keeps_its_result()
    {
        var ct = TestContext.Current.CancellationToken;
        var handler = new Scripted((_, _) => Task.FromResult<JsonElement?>(JsonElement.Parse("""{"answer":42}""")));
        await using var host = await StartAsync(handler);
        var queue = host.Services.GetRequiredService<DurableQueue>();
        var owner = Guid.CreateVersion7();
        var id = await queue.EnqueueAsync(new QueuedTask(owner, Scripted.Name, NoInput), ct);

        var done = await EndedAsync(queue, owner, id, ct);
        Assert.Equal(("succeeded", 1, 1.0, 42), (done.Status, done.Attempts, done.Progress, done.Result!.Value.GetProperty("answer").GetInt32()));
        Assert.Equal([1], handler.Attempts);
        Assert.Null(await queue.GetAsync(Guid.CreateVersion7(), id, ct));
    }

    [Fact]
    public async Task A_task_is_a_trace_of_its_own_that_links_to_the_one_that_asked()
    {
        var ct = TestContext.Current.CancellationToken;
        using var source = new ActivitySource("AgentFlow.Tests.Queue");
        using var listener = new ActivityListener
        {
            ShouldListenTo = each => each.Name is "AgentFlow.Tests.Queue" or "AgentFlow.Queue",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        Activity? ran = null;
        await using var host = await StartAsync(new Scripted((_, _) =>
        {
            ran = Activity.Current;
            return Task.FromResult<JsonElement?>(null);
        }));
        var queue = host.Services.GetRequiredService<DurableQueue>();
        var owner = Guid.CreateVersion7();
        using var asking = source.StartActivity("asking")!;
        await EndedAsync(queue, owner, await queue.EnqueueAsync(new QueuedTask(owner, Scripted.Name, NoInput), ct), ct);
        Assert.NotEqual(asking.TraceId, ran!.TraceId);
        Assert.Equal([asking.TraceId], ran.Links.Select(link => link.Context.TraceId));
    }

    [Fact]
    public async Task A_task_whose_condition_does_not_hold_is_not_added()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await StartAsync(new Scripted((_, _) => Task.FromResult<JsonElement?>(null)));
        var queue = host.Services.GetRequiredService<DurableQueue>();
        var owner = Guid.CreateVersion7();
        var (wanted, unwanted) = (new QueuedTask(owner, Scripted.Name, NoInput), new QueuedTask(owner, Scripted.Name, NoInput));
        var batch = host.Services.GetRequiredService<Database>().ForOwner(owner).CreateBatch();
        queue.EnqueueIf(batch, unwanted, "$10 = 2", [1]);
        queue.EnqueueIf(batch, wanted, "$10 = 1", [1]);
        await batch.ExecuteAsync(ct);

        Assert.Equal("succeeded", (await EndedAsync(queue, owner, wanted.Id, ct)).Status);
        Assert.Null(await queue.GetAsync(owner, unwanted.Id, ct));
    }

    [Fact]
    public async Task A_throwing_handler_is_tried_again_and_dead_after_its_attempts()
    {
        var ct = TestContext.Current.CancellationToken;
        var handler = new Scripted((_, _) => throw new InvalidOperationException("boom"));
        await using var host = await StartAsync(handler);
        var queue = host.Services.GetRequiredService<DurableQueue>();
        var owner = Guid.CreateVersion7();
        var id = await queue.EnqueueAsync(new QueuedTask(owner, Scripted.Name, NoInput) { MaxAttempts = 3 }, ct);

        var dead = await EndedAsync(queue, owner, id, ct);
        Assert.Equal(("dead", 3, "Something went wrong on our side. It was given up after attempt 3 of 3."), (dead.Status, dead.Attempts, dead.Error));
        Assert.Equal([1, 2, 3], handler.Attempts);
        Assert.True(await queue.ReplayAsync(owner, id, ct));
        Assert.Equal("dead", (await EndedAsync(queue, owner, id, ct)).Status);
        Assert.Equal([1, 2, 3, 1, 2, 3], handler.Attempts);
    }

    [Fact]
    public async Task A_postponed_attempt_does_not_count_and_says_why_the_task_waits()
    {
        var ct = TestContext.Current.CancellationToken;
        var isAway = true;
        var handler = new Scripted((_, _) => Volatile.Read(ref isAway) ? throw new TaskPostponedException("the index is away", TimeSpan.FromMilliseconds(10)) : Task.FromResult<JsonElement?>(null));
        await using var host = await StartAsync(handler);
        var queue = host.Services.GetRequiredService<DurableQueue>();
        var owner = Guid.CreateVersion7();
        var id = await queue.EnqueueAsync(new QueuedTask(owner, Scripted.Name, NoInput) { MaxAttempts = 2 }, ct);

        await Patience.UntilAsync(() => Task.FromResult(handler.Attempts.Count), count => count > 3, "more postponements than the task has attempts");
        await Patience.UntilAsync(() => queue.GetAsync(owner, id, ct), task => task is { Status: "queued", Error: "the index is away", Attempts: 0 }, "the reason");
        Volatile.Write(ref isAway, false);
        Assert.Equal(("succeeded", 1, null), (await EndedAsync(queue, owner, id, ct)) is var done ? (done.Status, done.Attempts, done.Error) : default);
        Assert.All(handler.Attempts, attempt => Assert.Equal(1, attempt));
    }

    [Fact]
    public async Task A_refusal_is_final_and_keeps_its_reason()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await StartAsync(new Scripted((_, _) => throw new TaskFailedException("contains no text")));
        var queue = host.Services.GetRequiredService<DurableQueue>();
        var owner = Guid.CreateVersion7();
        var failed = await EndedAsync(queue, owner, await queue.EnqueueAsync(new QueuedTask(owner, Scripted.Name, NoInput), ct), ct);
        Assert.Equal(("failed", 1, "contains no text"), (failed.Status, failed.Attempts, failed.Error));
    }

    [Fact]
    public async Task A_running_task_is_cancelled_by_its_owner_only()
    {
        var ct = TestContext.Current.CancellationToken;
        var started = new TaskCompletionSource();
        await using var host = await StartAsync(new Scripted(async (_, token) =>
        {
            started.TrySetResult();
            await Task.Delay(Timeout.Infinite, token);
            return null;
        }));
        var queue = host.Services.GetRequiredService<DurableQueue>();
        var owner = Guid.CreateVersion7();
        var id = await queue.EnqueueAsync(new QueuedTask(owner, Scripted.Name, NoInput), ct);
        await started.Task.WaitAsync(ct);
        Assert.False(await queue.CancelAsync(Guid.CreateVersion7(), id, ct));
        Assert.True(await queue.CancelAsync(owner, id, ct));
        Assert.Equal("cancelled", (await EndedAsync(queue, owner, id, ct)).Status);
    }

    [Fact]
    public async Task A_worker_taken_for_dead_changes_nothing_when_it_comes_back()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync(builder => builder.Services.AddTaskQueue());
        var queue = host.Services.GetRequiredService<DurableQueue>();
        var store = host.Services.GetRequiredService<TaskStore>();
        var owner = Guid.CreateVersion7();
        var id = await queue.EnqueueAsync(new QueuedTask(owner, "k", NoInput), ct);
        var zombie = Assert.Single(await store.ClaimAsync(["k"], 1, 4, TimeSpan.FromMilliseconds(-1), ct));
        Assert.Equal(1, await store.ReclaimAsync(ct));
        var heir = Assert.Single(await store.ClaimAsync(["k"], 1, 4, TimeSpan.FromMinutes(1), ct));
        Assert.Equal((id, 2), (heir.Id, heir.Attempt));

        Assert.False(await store.EndAsync(zombie, "succeeded", null, null, ct));
        Assert.Empty(await store.RenewAsync([zombie.Id], [zombie.Fence], TimeSpan.FromMinutes(1), ct));
        Assert.True(await store.EndAsync(heir, "succeeded", null, null, ct));
    }

    [Fact]
    public async Task A_task_that_kills_its_worker_is_dead_after_exactly_its_attempts()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync(builder => builder.Services.AddTaskQueue());
        var queue = host.Services.GetRequiredService<DurableQueue>();
        var store = host.Services.GetRequiredService<TaskStore>();
        var owner = Guid.CreateVersion7();
        var id = await queue.EnqueueAsync(new QueuedTask(owner, "k", NoInput) { MaxAttempts = 3 }, ct);
        var claims = 0;
        while ((await store.ClaimAsync(["k"], 1, 4, TimeSpan.FromMilliseconds(-1), ct)).Count > 0)
        {
            claims++;
            await store.ReclaimAsync(ct);
        }

        Assert.Equal(3, claims);
        Assert.Equal("dead", (await queue.GetAsync(owner, id, ct))!.Status);
    }

    [Fact]
    public async Task One_owners_flood_does_not_starve_another()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync(builder => builder.Services.AddTaskQueue());
        var queue = host.Services.GetRequiredService<DurableQueue>();
        var store = host.Services.GetRequiredService<TaskStore>();
        var (loud, quiet) = (Guid.CreateVersion7(), Guid.CreateVersion7());
        for (var i = 0; i < 50; i++)
        {
            await queue.EnqueueAsync(new QueuedTask(loud, "k", NoInput), ct);
        }

        await queue.EnqueueAsync(new QueuedTask(quiet, "k", NoInput), ct);
        var claimed = new List<ClaimedTask>();
        for (var round = 0; round < 3; round++)
        {
            claimed.AddRange(await store.ClaimAsync(["k"], 2, 4, TimeSpan.FromMinutes(1), ct));
        }

        Assert.Contains(claimed, claim => claim.OwnerId == quiet);
        Assert.True(claimed.Count(claim => claim.OwnerId == loud) <= 4, "no more than the cap of one owner runs");
    }

    [Fact]
    public async Task A_dedup_key_holds_only_while_the_task_is_open()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await StartAsync(new Scripted((_, _) => Task.FromResult<JsonElement?>(null)));
        var queue = host.Services.GetRequiredService<DurableQueue>();
        var owner = Guid.CreateVersion7();
        var first = await queue.EnqueueAsync(new QueuedTask(owner, Scripted.Name, NoInput) { DedupKey = "x" }, ct);
        await EndedAsync(queue, owner, first, ct);
        var second = await queue.EnqueueAsync(new QueuedTask(owner, Scripted.Name, NoInput) { DedupKey = "x" }, ct);
        Assert.Equal("succeeded", (await EndedAsync(queue, owner, second, ct)).Status);
    }

    private static Task<FoundationHost> StartAsync(Scripted handler) => FoundationHost.StartAsync(builder =>
    {
        builder.Configuration.AddInMemoryCollection(
        [
            KeyValuePair.Create("Queue:RetryDelay", (string?)"00:00:00.001"), KeyValuePair.Create("Queue:PollInterval", (string?)"00:00:00.020"),
        ]);
        builder.Services.AddTaskQueue();
        builder.Services.AddSingleton<ITaskHandler>(handler);
    });

    private static async Task<TaskRecord> EndedAsync(DurableQueue queue, Guid owner, Guid id, CancellationToken ct)
    {
        while (true)
        {
            var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            using var subscription = queue.OnChange(_ => changed.TrySetResult());
            if (await queue.GetAsync(owner, id, ct) is { EndedAt: not null } ended)
            {
                return ended;
            }

            // A change may fall between the look and the subscription's first callback; the limit only bounds that.
            await Task.WhenAny(changed.Task, Task.Delay(TimeSpan.FromMilliseconds(100), ct));
            ct.ThrowIfCancellationRequested();
        }
    }

    private sealed class Scripted(Func<TaskContext, CancellationToken, Task<JsonElement?>> run) : ITaskHandler
    {
        public const string Name = "scripted";

        public ConcurrentQueue<int> Attempts { get; } = new();

        public string Kind => Name;

        public Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
        {
            Attempts.Enqueue(context.Attempt);
            return run(context, ct);
        }
    }
}
