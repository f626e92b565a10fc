using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using AgentFlow.ServiceDefaults;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Benchmarks.Queue;

/// <summary>Empty tasks a second through the durable queue, and the time from enqueue to start of a task that finds the queue idle.</summary>
internal static class QueueLoad
{
    private const int Tasks = 2_000;
    private const int Probes = 200;
    private static readonly JsonElement NoInput = JsonElement.Parse("{}");

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        await using var postgres = await PrivatePostgres.StartAsync(durable: true);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.AddInMemoryCollection(
        [
            KeyValuePair.Create("ConnectionStrings:foundation", (string?)await postgres.CreateDatabaseAsync(ct)),
            KeyValuePair.Create("Queue:Concurrency", (string?)"16"),
            KeyValuePair.Create("Queue:ConcurrencyPerOwner", (string?)"16"),
            KeyValuePair.Create("urls", (string?)"http://127.0.0.1:0"),
        ]);
        builder.AddServiceDefaults("foundation");
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.AddPostgres("foundation", typeof(QueueLoad).Assembly);
        builder.Services.AddTaskQueue();
        var handler = new Stamp();
        builder.Services.AddSingleton<ITaskHandler>(handler);
        await using var app = builder.Build();
        await app.StartAsync(ct);
        var queue = app.Services.GetRequiredService<DurableQueue>();

        var lags = await LagsAsync(queue, handler, ct);
        var rate = await RateAsync(queue, handler, ct);
        Console.WriteLine($"enqueue to start, idle queue: p50 {lags[lags.Count / 2]:0.0} ms, p95 {lags[(int)(lags.Count * 0.95)]:0.0} ms ({Probes} tasks; goal p95 30 ms)");
        Console.WriteLine($"empty tasks, enqueued and done: {rate:0} tasks/s ({Tasks} tasks of 8 owners; goal 500 tasks/s)");
        await app.StopAsync(CancellationToken.None);
        return rate >= 500 && lags[(int)(lags.Count * 0.95)] <= 30 ? 0 : 1;
    }

    private static async Task<List<double>> LagsAsync(DurableQueue queue, Stamp handler, CancellationToken ct)
    {
        var owner = Guid.CreateVersion7();
        var lags = new List<double>();
        for (var i = 0; i < Probes; i++)
        {
            var task = new QueuedTask(owner, Stamp.Name, NoInput);
            var started = handler.Expect(task.Id);
            var before = Stopwatch.GetTimestamp();
            await queue.EnqueueAsync(task, ct);
            lags.Add(Stopwatch.GetElapsedTime(before, await started.WaitAsync(ct)).TotalMilliseconds);
        }

        lags.Sort();
        return lags;
    }

    private static async Task<double> RateAsync(DurableQueue queue, Stamp handler, CancellationToken ct)
    {
        var owners = Enumerable.Range(0, 8).Select(_ => Guid.CreateVersion7()).ToArray();
        var before = Stopwatch.GetTimestamp();
        var waits = new List<Task<long>>();
        foreach (var i in Enumerable.Range(0, Tasks))
        {
            var task = new QueuedTask(owners[i % owners.Length], Stamp.Name, NoInput);
            waits.Add(handler.Expect(task.Id));
            await queue.EnqueueAsync(task, ct);
        }

        await Task.WhenAll(waits).WaitAsync(ct);
        return Tasks / Stopwatch.GetElapsedTime(before).TotalSeconds;
    }

    private sealed class Stamp : ITaskHandler
    {
        public const string Name = "empty";
        private readonly ConcurrentDictionary<Guid, TaskCompletionSource<long>> expected = new();

        public string Kind => Name;

        public Task<long> Expect(Guid id) =>
            expected.GetOrAdd(id, _ => new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

        public Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
        {
            if (expected.TryRemove(context.Id, out var waiting))
            {
                waiting.SetResult(Stopwatch.GetTimestamp());
            }

            return Task.FromResult<JsonElement?>(null);
        }
    }
}
