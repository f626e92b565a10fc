using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Memories;

/// <summary>Carries out a batch entry by entry; an entry that is refused does not stop the others. Thread-safe.</summary>
internal sealed class MemoryBatches(MemoryIngestion ingestion, MemoryChanges changes)
{
    private const int MaxEntries = 1_000;

    internal async Task<IReadOnlyList<MemoryBatchResult>> RunAsync(MemoryCaller caller, MemoryBatch batch, Operation operation, CancellationToken ct)
    {
        var count = Check(batch);
        var results = new List<MemoryBatchResult>(count);
        foreach (var (request, index) in (batch.Add ?? []).Select((request, index) => (request, index)))
            results.Add(await TryAsync("add", index, () => AddAsync(caller, request, operation, index, ct)));
        foreach (var (edit, index) in (batch.Update ?? []).Select((edit, index) => (edit, index)))
            results.Add(await TryAsync("update", index, () => UpdateAsync(caller, edit, operation, ct)));
        foreach (var (id, index) in (batch.Delete ?? []).Select((id, index) => (id, index)))
            results.Add(await TryAsync("delete", index, () => DeleteAsync(caller, id, operation, ct)));
        return results;
    }

    /// <returns>How many entries it has.</returns>
    /// <exception cref="ProblemException">400: none, or too many.</exception>
    internal static int Check(MemoryBatch batch)
    {
        var count = (batch.Add?.Count ?? 0) + (batch.Update?.Count ?? 0) + (batch.Delete?.Count ?? 0);
        if (count is 0 or > MaxEntries)
            throw AddRequestRules.Invalid("add", $"A batch has 1 to {MaxEntries} entries; this one has {count}.");
        if (batch.Add?.Any(entry => entry is null) == true)
            throw AddRequestRules.Invalid("add", "An entry is an object, not null.");
        return batch.Update?.Any(entry => entry is null) == true ? throw AddRequestRules.Invalid("update", "An entry is an object, not null.") : count;
    }

    /// <exception cref="ProblemException">400: what is asked for later can't be answered now.</exception>
    internal static void CheckIsNow(AddMemoryRequest request)
    {
        if (request.Async)
            throw AddRequestRules.Invalid("async", "A batch is answered at once; leave async out.");
    }

    private async Task<MemoryBatchResult> AddAsync(MemoryCaller caller, AddMemoryRequest request, Operation operation, int index, CancellationToken ct)
    {
        CheckIsNow(request);
        var added = await ingestion.AddAsync(caller, request, operation with { MayRepeat = false }, ct);
        return new MemoryBatchResult { Action = "add", Index = index, Status = StatusCodes.Status201Created, Added = added };
    }

    private async Task<MemoryBatchResult> UpdateAsync(MemoryCaller caller, MemoryBatchEdit edit, Operation operation, CancellationToken ct) =>
        await changes.PatchAsync(caller, edit.Id, edit.Patch, operation.Id, ct) is { } row
            ? new MemoryBatchResult { Action = "update", Index = 0, Status = StatusCodes.Status200OK, Updated = row.ToItem() }
            : throw NotFound();

    private async Task<MemoryBatchResult> DeleteAsync(MemoryCaller caller, MemoryId id, Operation operation, CancellationToken ct) =>
        await changes.DeleteAsync(caller, id, operation.Id, ct)
            ? new MemoryBatchResult { Action = "delete", Index = 0, Status = StatusCodes.Status204NoContent }
            : throw NotFound();

    internal static async Task<MemoryBatchResult> TryAsync(string action, int index, Func<Task<MemoryBatchResult>> run)
    {
        try
        {
            return (await run()) with { Index = index };
        }
        catch (ProblemException problem)
        {
            return new MemoryBatchResult { Action = action, Index = index, Status = problem.Status, Code = problem.Code, Detail = problem.Message };
        }
    }

    internal static ProblemException NotFound() => new(StatusCodes.Status404NotFound, "not_found", "There is no such memory.");
}
