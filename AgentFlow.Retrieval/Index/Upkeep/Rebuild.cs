using AgentFlow.Retrieval.Index.Qdrant;

namespace AgentFlow.Retrieval.Index.Upkeep;

/// <summary>
/// Fills a new Qdrant collection from the truth while the old one serves, and lets searches go over to it in one step. Writes reach both
/// from the moment the new one exists; what a replica overlooked for a few seconds is found by comparing before the switch.
/// </summary>
internal sealed class Rebuild(IIndexTruth truth, QdrantIndex index, TimeProvider time)
{
    private const int Batch = 256;

    /// <summary>Other replicas know a new collection after this long at the latest.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(6);

    /// <returns>How many points the new collection got.</returns>
    /// <param name="isAlone">No other process writes, or nothing serves yet: do not wait for others to notice.</param>
    public async Task<int> RunAsync(bool isAlone, CancellationToken ct)
    {
        var next = await index.Collections.CreateNextAsync(ct);
        var points = 0;
        try
        {
            points = await FillAsync(next, ct);
            if (!isAlone)
                await Task.Delay(Settling, time, ct);
            var target = new SweepTarget(
                token => index.ScanAsync(next, token),
                (owner, writes, token) => index.WriteToAsync(next, owner, writes, token),
                (tombstones, token) => index.PurgeFromAsync(next, tombstones, token),
                _ => true);
            await new Sweep(truth, target, TimeSpan.Zero).RunAsync(ct);
        }
        catch
        {
            // Half a collection must not get every write for ever; its own short time, since the reason may be cancellation.
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5), time);
            await index.Collections.DropAsync(next, limit.Token);
            throw;
        }

        await index.Collections.SwitchToAsync(next, ct);
        return points;
    }

    private async Task<int> FillAsync(string collection, CancellationToken ct)
    {
        var points = 0;
        Guid? after = null;
        while (await truth.PageAsync(after, Batch, TimeSpan.Zero, ct) is { Count: > 0 } page)
        {
            after = page[^1].Id;
            var rows = await truth.ReadAsync([.. page.Where(entry => !entry.Deleted).Select(entry => entry.Id)], ct);
            foreach (var owner in rows.Where(row => row.Point is not null).GroupBy(row => row.OwnerId))
            {
                var writes = owner.Select(row => (IndexWrite)new IndexWrite.Put(row.Point!)).ToList();
                await index.WriteToAsync(collection, owner.Key, writes, ct);
                points += writes.Count;
            }
        }

        return points;
    }
}
