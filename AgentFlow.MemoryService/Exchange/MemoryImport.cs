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
    private const int EmbedBatch = 64;

    /// <exception cref="ProblemException">400: an entry can not be taken; those before it are stored.</exception>
    internal async Task<ImportReport> RunAsync(MemoryCaller caller, JsonElement body, CancellationToken ct)
    {
        var memories = Read(body);
        foreach (var memory in memories)
            Check(memory, caller);
        var operation = Guid.CreateVersion7();
        int imported = 0, existing = 0, renamed = 0;
        foreach (var batch in memories.Chunk(EmbedBatch))
        {
            var vectors = await embedding.TryEmbedAsync([.. batch.Select(one => one.Memory.Text)], ct);
            var stored = new List<Guid>();
            for (var i = 0; i < batch.Length; i++)
            {
                var (memory, scope) = (batch[i], caller.Bind(Scope(batch[i].Memory)));
                var outcome = await store.AddAsync(caller.OwnerId, operation, memory, scope, vectors?[i] ?? default, embedding.Model, ct);
                if (outcome == ImportStore.Outcome.IdTaken)
                {
                    memory = memory with { Memory = memory.Memory with { Id = MemoryId.New() } };
                    outcome = await store.AddAsync(caller.OwnerId, operation, memory, scope, vectors?[i] ?? default, embedding.Model, ct);
                    renamed++;
                }

                if (outcome == ImportStore.Outcome.Imported)
                    stored.Add(memory.Memory.Id.Value);
                else
                    existing++;
            }

            imported += stored.Count;
            await index.ChangedAsync(caller.OwnerId, stored, ct);
        }

        return new ImportReport(imported, existing, renamed);
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
