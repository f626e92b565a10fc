using System.Runtime.CompilerServices;
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

    /// <param name="body">Read from its start, twice.</param>
    /// <exception cref="ProblemException">400: an entry can not be taken; nothing is stored.</exception>
    /// <exception cref="JsonException">The body is no JSON, or has members that are not known.</exception>
    internal async Task<ImportReport> RunAsync(MemoryCaller caller, Stream body, CancellationToken ct)
    {
        var form = await FormAsync(body, ct);
        body.Position = 0;
        await foreach (var memory in MemoriesAsync(form, body, ct))
            Check(memory, caller);
        body.Position = 0;
        var operation = Guid.CreateVersion7();
        var report = new ImportReport(0, 0, 0);
        await foreach (var batch in MemoriesAsync(form, body, ct).Chunk(BatchSize).WithCancellation(ct))
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

    /// <summary>Where the memories are, which may stand before what says so.</summary>
    private static async Task<Form> FormAsync(Stream body, CancellationToken ct)
    {
        var members = new Dictionary<string, JsonEntry>(StringComparer.Ordinal);
        var isObject = false;
        await foreach (var entry in JsonEntries.ReadAsync(body, ct))
        {
            isObject |= entry.Name.Length > 0;
            if (entry is { Kind: JsonValueKind.Array, Value: not null })
                continue;
            if (!members.TryAdd(entry.Name, entry))
                throw new JsonException($"{entry.Name} is given twice.");
        }

        if (members.TryGetValue("format", out var format))
        {
            if (format.Value is not { ValueKind: JsonValueKind.String } name || name.GetString() != MemoryExport.CurrentFormat)
                throw AddRequestRules.Invalid("format", $"format is {MemoryExport.CurrentFormat}.");
            if (members.Keys.FirstOrDefault(member => member is not ("format" or "exportedAt" or "memories")) is { } unknown)
                throw new JsonException($"{unknown} is not a member of an export.");
            return members.TryGetValue("memories", out var own) && own.Kind == JsonValueKind.Array
                ? new Form("memories", IsMem0s: false) : throw AddRequestRules.Invalid("memories", "memories is a list.");
        }

        // Mem0 hands out a bare list, or results, or memories.
        var list = !isObject ? string.Empty : members.ContainsKey("results") ? "results" : "memories";
        if (isObject && !members.ContainsKey(list))
            throw Mem0Export.Invalid("An import is an export of ours or of Mem0's: an array, or results, or memories.");
        return !isObject || members[list].Kind == JsonValueKind.Array ? new Form(list, IsMem0s: true) : throw Mem0Export.Invalid("The memories are a list.");
    }

    private async IAsyncEnumerable<ExportedMemory> MemoriesAsync(Form form, Stream body, [EnumeratorCancellation] CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var place = 0;
        await foreach (var entry in JsonEntries.ReadAsync(body, ct))
        {
            if (entry is not { Kind: JsonValueKind.Array, Value: { } value } || entry.Name != form.List)
                continue;
            var memory = form.IsMem0s ? Mem0Export.Entry(value, place, now) : value.Deserialize<ExportedMemory>(ContractJson.Options);
            yield return memory is null || IsHollow(memory) ? throw AddRequestRules.Invalid("memories", $"Entry {place}: a memory, a version or a change is an object, not null.") : memory;
            place++;
        }
    }

    /// <param name="List">The member with the memories; empty where the root is the list.</param>
    private sealed record Form(string List, bool IsMem0s);

    private static bool IsHollow(ExportedMemory memory) =>
        memory.Memory is null || memory.Versions.Any(version => version is null) || memory.History.Any(change => change is null);

    private void Check(ExportedMemory memory, MemoryCaller caller)
    {
        AddRequestRules.CheckText("text", memory.Memory.Text, options.Value);
        AddRequestRules.CheckScope(caller.Bind(Scope(memory.Memory)));
        AddRequestRules.CheckMetadata(memory.Memory.Metadata, options.Value);
        AddRequestRules.CheckCategories(memory.Memory.Categories);
        foreach (var version in memory.Versions)
        {
            AddRequestRules.CheckText("versions", version.Text, options.Value);
            AddRequestRules.CheckMetadata(version.Metadata, options.Value);
            AddRequestRules.CheckCategories(version.Categories);
        }

        if (memory.Versions.Any(version => version.Version < 1 || version.Version >= memory.Memory.Version) || memory.Versions.DistinctBy(version => version.Version).Count() < memory.Versions.Count)
            throw AddRequestRules.Invalid("versions", "Versions before the current one have lower numbers, each its own.");
        if (memory.Memory.Version < 1 || memory.Status is not ("active" or "pending" or "rejected"))
            throw AddRequestRules.Invalid("status", "A memory has a version of 1 or more, and is active, pending or rejected.");
        if (memory.Memory.ValidTo is { } to && to < (memory.Memory.ValidFrom ?? memory.Memory.ObservedAt ?? memory.Memory.CreatedAt))
            throw AddRequestRules.Invalid("validTo", "A memory does not end before it begins.");
    }

    private static MemoryScope Scope(MemoryItem memory) =>
        new() { UserId = memory.UserId, AgentId = memory.AgentId, SessionId = memory.SessionId, AppId = memory.AppId };
}
