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

    /// <summary>Characters of an entity's or a relation's name.</summary>
    private const int MaxName = 256;

    /// <summary>Members of an export of ours or of Mem0's that matter; no other is kept in memory.</summary>
    private static readonly string[] Known = ["", "format", "exportedAt", "memories", "results"];

    /// <param name="caller">Whose they become.</param>
    /// <param name="userId">The user that all of them become about, whoever they were about; null leaves that as it is.</param>
    /// <param name="body">Read from its start, twice.</param>
    /// <param name="ct">Ends the import between two batches.</param>
    /// <exception cref="ProblemException">400 or 413: an entry can not be taken; nothing is stored.</exception>
    /// <exception cref="JsonException">The body is no JSON, or has members that are not known.</exception>
    internal async Task<ImportReport> RunAsync(MemoryCaller caller, string? userId, Stream body, CancellationToken ct)
    {
        var form = await FormAsync(body, ct);
        body.Position = 0;
        await foreach (var memory in MemoriesAsync(form, userId, body, ct))
            Check(memory, caller);
        body.Position = 0;
        var operation = Guid.CreateVersion7();
        var report = new ImportReport(0, 0, 0);
        var moved = new Dictionary<Guid, Guid>();
        await foreach (var batch in MemoriesAsync(form, userId, body, ct).Chunk(BatchSize).WithCancellation(ct))
            report = await AddAsync(caller, operation, batch, report, moved, ct);
        await store.RelinkAsync(caller.OwnerId, moved, ct);
        return report;
    }

    /// <summary>One transaction, and one more for those whose id is somebody else's.</summary>
    private async Task<ImportReport> AddAsync(
        MemoryCaller caller, Guid operation, ExportedMemory[] batch, ImportReport before, Dictionary<Guid, Guid> moved, CancellationToken ct)
    {
        var vectors = await embedding.TryEmbedAsync([.. batch.Select(one => one.Memory.Text)], ct);
        var memories = batch.Select((one, i) => new ImportedMemory(one, caller.Bind(Scope(one.Memory)), vectors?[i] ?? default)).ToList();
        var outcomes = memories.Zip(await store.AddAsync(caller.OwnerId, operation, memories, embedding.Model, ct)).ToList();
        var taken = outcomes.Where(one => one.Second.IsTaken).Select(one => one.First).ToList();
        var renamed = taken.ConvertAll(one => one.As(ImportStore.OwnId(caller.OwnerId, one.Exported.Memory.Id)));
        var again = renamed.Zip(await store.AddAsync(caller.OwnerId, operation, renamed, embedding.Model, ct)).ToList();
        foreach (var (given, kept) in outcomes.Where(one => !one.Second.IsTaken).Select(one => (one.First, one.Second)).Concat(taken.Zip(again, (given, one) => (given, one.Second))))
        {
            if (kept.Id is { } id && id != given.Exported.Memory.Id.Value)
                moved[given.Exported.Memory.Id.Value] = id;
        }

        var stored = outcomes.Concat(again).Where(one => one.Second.IsAdded).Select(one => one.First.Exported.Memory.Id.Value).ToList();
        await index.ChangedAsync(caller.OwnerId, stored, ct);
        return new ImportReport(before.Imported + stored.Count, before.Existing + batch.Length - stored.Count, before.Renamed + again.Count(one => one.Second.IsAdded));
    }

    /// <summary>Where the memories are, which may stand before what says so.</summary>
    private static async Task<Form> FormAsync(Stream body, CancellationToken ct)
    {
        var members = new Dictionary<string, JsonValueKind>(StringComparer.Ordinal);
        string? format = null;
        string? unknown = null;
        var isObject = false;
        await foreach (var entry in JsonEntries.ReadAsync(body, ct))
        {
            isObject |= entry.Name.Length > 0;
            if (entry is { Kind: JsonValueKind.Array, Value: not null })
                continue;
            if (!Known.Contains(entry.Name, StringComparer.Ordinal))
                unknown ??= entry.Name;
            else if (!members.TryAdd(entry.Name, entry.Kind))
                throw new JsonException($"{entry.Name} is given twice.");
            if (entry is { Name: "format", Kind: JsonValueKind.String })
                format = entry.Value!.Value.GetString();
        }

        if (members.ContainsKey("format"))
        {
            if (format != MemoryExport.CurrentFormat)
                throw AddRequestRules.Invalid("format", $"format is {MemoryExport.CurrentFormat}.");
            if (unknown is not null || members.ContainsKey("results"))
                throw new JsonException($"{unknown ?? "results"} is not a member of an export.");
            return members.TryGetValue("memories", out var own) && own == JsonValueKind.Array
                ? new Form("memories", IsMem0s: false) : throw AddRequestRules.Invalid("memories", "memories is a list.");
        }

        // Mem0 hands out a bare list, or results, or memories.
        var list = !isObject ? string.Empty : members.ContainsKey("results") ? "results" : "memories";
        if (isObject && !members.ContainsKey(list))
            throw Mem0Export.Invalid("An import is an export of ours or of Mem0's: an array, or results, or memories.");
        return !isObject || members[list] == JsonValueKind.Array ? new Form(list, IsMem0s: true) : throw Mem0Export.Invalid("The memories are a list.");
    }

    private async IAsyncEnumerable<ExportedMemory> MemoriesAsync(Form form, string? userId, Stream body, [EnumeratorCancellation] CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var place = 0;
        await foreach (var entry in JsonEntries.ReadAsync(body, ct))
        {
            if (entry is not { Kind: JsonValueKind.Array, Value: { } value } || entry.Name != form.List)
                continue;
            var memory = form.IsMem0s ? Mem0Export.Entry(value, place, now) : value.Deserialize<ExportedMemory>(ContractJson.Options);
            if (memory is null || IsHollow(memory))
                throw AddRequestRules.Invalid("memories", $"Entry {place}: a memory, a version, a change or a relation is an object, not null.");
            yield return userId is null ? memory : memory with { Memory = memory.Memory with { UserId = userId } };
            place++;
        }
    }

    /// <param name="List">The member with the memories; empty where the root is the list.</param>
    private sealed record Form(string List, bool IsMem0s);

    private static bool IsHollow(ExportedMemory memory) =>
        memory.Memory is null || memory.Versions.Any(version => version is null) || memory.History.Any(change => change is null) || memory.Relations.Any(relation => relation is null);

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

        if (memory.Relations.Any(relation => relation.Source.Length is 0 or > MaxName || relation.Relation.Length is 0 or > MaxName || relation.Target.Length is 0 or > MaxName))
            throw AddRequestRules.Invalid("relations", $"A relation has a source, a name and a target of 1 to {MaxName} characters.");
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
