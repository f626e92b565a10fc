using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Memories;

namespace AgentFlow.MemoryService.Mem0.Backend;

/// <summary>
/// A batch of ours at Mem0: every entry is looked up first, since the account holds other owners' memories, too; then one call edits and one
/// deletes. Adds, and edits of an expiry, have no batch there and go one by one. Thread-safe.
/// </summary>
internal sealed class Mem0Batches(Mem0Memories memories)
{
    /// <summary>Calls to Mem0 at the same time.</summary>
    private const int AtOnce = 8;

    internal async Task<IReadOnlyList<MemoryBatchResult>> RunAsync(MemoryCaller caller, MemoryBatch batch, CancellationToken ct)
    {
        var results = new List<MemoryBatchResult>(MemoryBatches.Check(batch));
        foreach (var (request, index) in (batch.Add ?? []).Select((request, index) => (request, index)))
            results.Add(await MemoryBatches.TryAsync("add", index, () => AddAsync(caller, request, ct)));
        results.AddRange(await UpdateAsync(caller, batch.Update ?? [], ct));
        results.AddRange(await DeleteAsync(caller, batch.Delete ?? [], ct));
        return results;
    }

    private async Task<MemoryBatchResult> AddAsync(MemoryCaller caller, AddMemoryRequest request, CancellationToken ct)
    {
        MemoryBatches.CheckIsNow(request);
        return new MemoryBatchResult { Action = "add", Index = 0, Status = StatusCodes.Status201Created, Added = await memories.AddAsync(caller, request, ct) };
    }

    private async Task<IReadOnlyList<MemoryBatchResult>> UpdateAsync(MemoryCaller caller, IReadOnlyList<MemoryBatchEdit> edits, CancellationToken ct)
    {
        var checks = await EachAsync("update", edits, (edit, token) => CheckAsync(caller, edit, token), ct);
        var together = edits.Where((edit, i) => checks[i].Code is null && !NeedsItsOwnCall(edit.Patch)).ToList();
        var edited = together.Count == 0 ? null : await MemoryBatches.TryAsync("update", 0, () => TogetherAsync("update", () => memories.EditAllAsync(together, ct)));
        return await EachAsync(
            "update",
            [.. edits.Select((edit, i) => (Edit: edit, Check: checks[i]))],
            async (entry, token) =>
                entry.Check.Code is not null ? entry.Check
                : NeedsItsOwnCall(entry.Edit.Patch) ? Updated(await memories.PatchAsync(caller, entry.Edit.Id, entry.Edit.Patch, token))
                : edited!.Code is not null ? edited
                : Updated(await memories.FindAsync(caller, entry.Edit.Id, token)),
            ct);
    }

    private async Task<IReadOnlyList<MemoryBatchResult>> DeleteAsync(MemoryCaller caller, IReadOnlyList<MemoryId> ids, CancellationToken ct)
    {
        // The second mention of an id finds nothing, as it would one by one.
        var checks = await EachAsync("delete", ids, (id, token) => CheckAsync("delete", caller, id, token), ct);
        var first = ids.Index().Where(entry => checks[entry.Index].Code is null).DistinctBy(entry => entry.Item).Select(entry => entry.Index).ToHashSet();
        var deleted = first.Count == 0
            ? null
            : await MemoryBatches.TryAsync("delete", 0, () => TogetherAsync("delete", () => memories.DeleteAllAsync(first.Select(index => ids[index]), ct)));
        return await EachAsync(
            "delete",
            [.. checks.Index()],
            (entry, _) => Task.FromResult(
                entry.Item.Code is not null ? entry.Item
                : !first.Contains(entry.Index) ? throw MemoryBatches.NotFound()
                : deleted! with { Status = deleted.Code is null ? StatusCodes.Status204NoContent : deleted.Status }),
            ct);
    }

    private async Task<MemoryBatchResult> CheckAsync(MemoryCaller caller, MemoryBatchEdit edit, CancellationToken ct)
    {
        memories.Check(edit.Patch);
        return await CheckAsync("update", caller, edit.Id, ct);
    }

    private async Task<MemoryBatchResult> CheckAsync(string action, MemoryCaller caller, MemoryId id, CancellationToken ct) =>
        await memories.FindAsync(caller, id, ct) is null ? throw MemoryBatches.NotFound() : new MemoryBatchResult { Action = action, Index = 0, Status = StatusCodes.Status200OK };

    private static async Task<MemoryBatchResult> TogetherAsync(string action, Func<Task> call)
    {
        await call();
        return new MemoryBatchResult { Action = action, Index = 0, Status = StatusCodes.Status200OK };
    }

    private static bool NeedsItsOwnCall(MemoryPatch patch) => patch.ClearExpiresAt || patch.ExpiresAt is not null || patch.ObservedAt is not null;

    private static MemoryBatchResult Updated(MemoryRow? row) =>
        row is null ? throw MemoryBatches.NotFound() : new MemoryBatchResult { Action = "update", Index = 0, Status = StatusCodes.Status200OK, Updated = row.ToItem() };

    private static async Task<MemoryBatchResult[]> EachAsync<T>(
        string action, IReadOnlyList<T> entries, Func<T, CancellationToken, Task<MemoryBatchResult>> run, CancellationToken ct)
    {
        var results = new MemoryBatchResult[entries.Count];
        await Parallel.ForEachAsync(
            entries.Index(),
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = ct },
            async (entry, token) => results[entry.Index] = await MemoryBatches.TryAsync(action, entry.Index, () => run(entry.Item, token)));
        return results;
    }
}
