using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;

namespace AgentFlow.MemoryService.Exchange;

/// <summary>Takes an export of ours or of Mem0's in. Repeating it changes nothing. Thread-safe.</summary>
internal sealed class MemoryImport(
    ImportStore store, MemoryEmbedding embedding, IndexedWrites index, IOptions<MemoryOptions> options, TimeProvider time)
{
    /// <summary>Memories that are embedded in one call and stored in one transaction.</summary>
    private const int BatchSize = 64;

    /// <exception cref="ProblemException">400: an entry can not be taken; those before it are stored.</exception>
    internal async Task<ImportReport> RunAsync(MemoryCaller caller, JsonElement body, CancellationToken ct)
    {
        var memories = Read(body);
        foreach (var memory in memories)
            Check(memory, caller);
        var operation = Guid.CreateVersion7();
        var report = new ImportReport(0, 0, 0);
        foreach (var batch in memories.Chunk(BatchSize))
            report = await AddAsync(caller, operation, batch, report, ct);
        return report;
    }

    /// <summary>One transaction, and one more for those whose id is somebody else's.</summary>
    private async Task<ImportReport> AddAsync(MemoryCaller caller, Guid operation, ExportedMemory[] batch, ImportReport before, CancellationToken ct)
    {
        var vectors = await embedding.TryEmbedAsync([.. batch.Select(one => one.Memory.Text)], ct);
        var memories = batch.Select((one, i) => new ImportedMemory(one, caller.Bind(Scope(one.Memory)), vectors?[i] ?? default)).ToList();
        var outcomes = memories.Zip(await store.AddAsync(caller.OwnerId, operation, memories, embedding.Model, ct)).ToList();
        var renamed = outcomes.Where(one => one.Second == ImportStore.Outcome.IdTaken)
            .Select(one => one.First with { Exported = one.First.Exported with { Memory = one.First.Exported.Memory with { Id = MemoryId.New() } } }).ToList();
        outcomes.AddRange(renamed.Zip(await store.AddAsync(caller.OwnerId, operation, renamed, embedding.Model, ct)));
        var stored = outcomes.Where(one => one.Second == ImportStore.Outcome.Imported).Select(one => one.First.Exported.Memory.Id.Value).ToList();
        await index.ChangedAsync(caller.OwnerId, stored, ct);
        return new ImportReport(before.Imported + stored.Count, before.Existing + batch.Length - stored.Count, before.Renamed + renamed.Count);
    }

    private IReadOnlyList<ExportedMemory> Read(JsonElement body)
    {
        if (Mem0Export.IsOne(body))
            return Mem0Export.Read(body, time.GetUtcNow());
        var export = body.Deserialize<MemoryExport>(ContractJson.Options);
        return export?.Format == MemoryExport.CurrentFormat
            ? export.Memories
            : throw AddRequestRules.Invalid("format", $"format is {MemoryExport.CurrentFormat}.");
    }

    private void Check(ExportedMemory memory, MemoryCaller caller)
    {
        AddRequestRules.CheckText("text", memory.Memory.Text, options.Value);
        AddRequestRules.CheckScope(caller.Bind(Scope(memory.Memory)));
        AddRequestRules.CheckMetadata(memory.Memory.Metadata, options.Value);
        AddRequestRules.CheckCategories(memory.Memory.Categories);
        if (memory.Memory.Version < 1 || memory.Status is not ("active" or "pending" or "rejected"))
            throw AddRequestRules.Invalid("status", "A memory has a version of 1 or more, and is active, pending or rejected.");
        if (memory.Memory.ValidTo is { } to && to < (memory.Memory.ValidFrom ?? memory.Memory.ObservedAt ?? memory.Memory.CreatedAt))
            throw AddRequestRules.Invalid("validTo", "A memory does not end before it begins.");
    }

    private static MemoryScope Scope(MemoryItem memory) =>
        new() { UserId = memory.UserId, AgentId = memory.AgentId, SessionId = memory.SessionId, AppId = memory.AppId };
}
