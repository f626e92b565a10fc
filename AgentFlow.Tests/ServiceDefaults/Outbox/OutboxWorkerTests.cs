using System.Collections.Concurrent;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ServiceDefaults.Outbox;

public sealed class OutboxWorkerTests
{
    [Fact]
    public async Task An_entry_goes_only_when_the_newest_version_was_applied()
    {
        var ct = TestContext.Current.CancellationToken;
        var (owner, entity) = (Guid.CreateVersion7(), Guid.CreateVersion7());
        FoundationHost host = null!;
        var handler = new Recorded(async entries =>
        {
            // The entity changes again while its first version is being applied.
            if (entries[0].Version == 1)
            {
                await host.Database.ForOwner(owner).CreateBatch().AddOutbox(owner, entity, 2).ExecuteAsync(ct);
            }
        });
        host = await StartAsync(handler);
        await using var disposed = host;
        var worker = host.Services.GetRequiredService<OutboxWorker>();
        await host.Database.ForOwner(owner).CreateBatch().AddOutbox(owner, entity, 1).ExecuteAsync(ct);

        Assert.Equal(1, await worker.DrainOnceAsync(ct));
        Assert.Equal(1, await worker.DrainOnceAsync(ct));
        Assert.Equal(0, await worker.DrainOnceAsync(ct));
        Assert.Equal([1L, 2L], handler.Versions);
    }

    [Fact]
    public async Task An_older_version_never_replaces_a_newer_entry()
    {
        var ct = TestContext.Current.CancellationToken;
        var handler = new Recorded(_ => Task.CompletedTask);
        await using var host = await StartAsync(handler);
        var (owner, entity) = (Guid.CreateVersion7(), Guid.CreateVersion7());
        await host.Database.ForOwner(owner).CreateBatch().AddOutbox(owner, [entity], [5L], isDelete: true).AddOutbox(owner, entity, 4).ExecuteAsync(ct);
        await host.Services.GetRequiredService<OutboxWorker>().DrainOnceAsync(ct);
        Assert.Equal([5L], handler.Versions);
        Assert.True(handler.Deletes.Single());
    }

    [Fact]
    public async Task What_the_index_refused_stays()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await StartAsync(new Recorded(_ => throw new HttpRequestException("down")));
        var owner = Guid.CreateVersion7();
        await host.Database.ForOwner(owner).CreateBatch().AddOutbox(owner, Guid.CreateVersion7(), 1).ExecuteAsync(ct);
        Assert.Equal(0, await host.Services.GetRequiredService<OutboxWorker>().DrainOnceAsync(ct));
        Assert.Equal([1], await host.Database.ForOwner(owner).QueryAsync("select attempts from index_outbox", [], row => row.GetInt32(0), ct));
    }

    private static Task<FoundationHost> StartAsync(Recorded handler) => FoundationHost.StartAsync(builder =>
    {
        builder.Configuration.AddInMemoryCollection([KeyValuePair.Create("Outbox:Enabled", (string?)"false")]);
        builder.Services.AddIndexOutbox<Recorded>();
        builder.Services.AddSingleton<IIndexOutboxHandler>(handler);
    });

    private sealed class Recorded(Func<IReadOnlyList<OutboxEntry>, Task> apply) : IIndexOutboxHandler
    {
        public ConcurrentQueue<long> Versions { get; } = new();

        public ConcurrentQueue<bool> Deletes { get; } = new();

        public async Task ApplyAsync(IReadOnlyList<OutboxEntry> entries, CancellationToken ct)
        {
            foreach (var entry in entries)
            {
                Versions.Enqueue(entry.Version);
                Deletes.Enqueue(entry.IsDelete);
            }

            await apply(entries);
        }
    }
}
