using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.Retrieval.Filters;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;

namespace AgentFlow.MemoryService.Memories;

/// <summary>Edits and deletes for a caller: finds, checks, changes, tells the index. Thread-safe.</summary>
internal sealed class MemoryChanges(
    MemoryReader reader, MemoryEditing editing, MemoryStore store, MemoryEmbedding embedding, IndexedWrites index, IOptions<MemoryOptions> options, TimeProvider time)
{
    /// <summary>Each turn is lost to another edit of the same memory.</summary>
    private const int MaxTries = 5;

    private const int DeleteBatch = 1_000;

    /// <returns>The memory, deleted or not; null when the caller may not see it or there is none.</returns>
    internal async Task<MemoryRow?> FindAsync(MemoryCaller caller, MemoryId id, CancellationToken ct)
    {
        var row = await reader.GetAsync(caller.OwnerId, id, ct);
        return row is not null && caller.Sees(row.Scope) ? row : null;
    }

    /// <returns>The memory as it is now; null when there is none.</returns>
    /// <exception cref="ProblemException">400, 409 or 413.</exception>
    internal async Task<MemoryRow?> PatchAsync(MemoryCaller caller, MemoryId id, MemoryPatch patch, Guid operationId, CancellationToken ct)
    {
        Check(patch, options.Value, time.GetUtcNow());
        for (var attempt = 1; ; attempt++)
        {
            if (await FindAsync(caller, id, ct) is not { } before || before.Status == MemoryStatus.Deleted)
                return null;
            if (before.Immutable)
                throw new ProblemException(StatusCodes.Status409Conflict, "immutable", "This memory is immutable; it can only be deleted.");
            var edit = await EditAsync(before, patch, ct);
            try
            {
                if (await editing.ApplyAsync(caller.OwnerId, operationId, edit, embedding.Model, time.GetUtcNow(), ct) is { } after)
                {
                    await index.ChangedAsync(caller.OwnerId, [id.Value], ct);
                    return after;
                }
            }
            catch (MemoryConflictException conflict)
            {
                throw new ProblemException(StatusCodes.Status409Conflict, "duplicate", conflict.Message);
            }

            if (attempt == MaxTries)
                throw new ProblemException(StatusCodes.Status409Conflict, "edited_elsewhere", "This memory is being edited by others; try again.");
        }
    }

    /// <returns>The memory after the decision; null when there is no such pending memory.</returns>
    internal async Task<MemoryRow?> ReviewAsync(MemoryCaller caller, MemoryId id, bool approve, string? text, Guid operationId, CancellationToken ct)
    {
        if (text is not null)
            AddRequestRules.CheckText("text", text, options.Value);
        if (await FindAsync(caller, id, ct) is not { Status: MemoryStatus.Pending } before)
            return null;
        var edit = await EditAsync(before, new MemoryPatch { Text = text }, ct);
        var decided = edit with { Status = approve ? MemoryStatus.Active : MemoryStatus.Rejected };
        try
        {
            var changed = await store.DecideAsync(caller.OwnerId, operationId, decided, embedding.Model, time.GetUtcNow(), ct);
            if (changed.Count == 0)
                return null;
            await index.ChangedAsync(caller.OwnerId, changed, ct);
            return await reader.GetAsync(caller.OwnerId, id, ct);
        }
        catch (MemoryConflictException conflict)
        {
            throw new ProblemException(StatusCodes.Status409Conflict, "duplicate", conflict.Message);
        }
    }

    /// <returns>False when there is nothing to delete.</returns>
    internal async Task<bool> DeleteAsync(MemoryCaller caller, MemoryId id, Guid operationId, CancellationToken ct)
    {
        if (caller.FixedSubject is not null && await FindAsync(caller, id, ct) is null)
            return false;
        return await DeleteAsync(caller.OwnerId, operationId, [id.Value], ct) > 0;
    }

    /// <param name="ids">Checked to be the caller's.</param>
    internal Task DeleteManyAsync(MemoryCaller caller, IReadOnlyList<Guid> ids, Guid operationId, CancellationToken ct) => DeleteAsync(caller.OwnerId, operationId, ids, ct);

    /// <summary>
    /// Deletes everything that the filter matches, whatever its state, in steps that are whole by themselves: what is cut off in between goes on with the
    /// next call. Looks again from the start until nothing is left, for what others committed behind the step.
    /// </summary>
    internal async Task<int> DeleteMatchingAsync(MemoryCaller caller, FilterExpression? filter, Guid operationId, CancellationToken ct)
    {
        var bound = FilterExpression.AllOf(caller.Condition(), filter);
        var (deleted, before) = (0, -1);
        while (deleted != before)
        {
            before = deleted;
            long after = 0;
            while (await reader.PresentAsync(caller.OwnerId, bound, after, DeleteBatch, ct) is { Count: > 0 } step)
            {
                deleted += await DeleteAsync(caller.OwnerId, operationId, step.ConvertAll(static one => one.Id), ct);
                after = step[^1].Sequence;
            }
        }

        return deleted;
    }

    private async Task<int> DeleteAsync(Guid ownerId, Guid operationId, IReadOnlyList<Guid> ids, CancellationToken ct)
    {
        var deleted = await editing.DeleteAsync(ownerId, operationId, ids, time.GetUtcNow(), ct);
        await index.DeletedAsync(ownerId, deleted.Select(one => (one.Id.Value, one.Version)), ct);
        return deleted.Count;
    }

    private async Task<MemoryEdit> EditAsync(MemoryRow before, MemoryPatch patch, CancellationToken ct)
    {
        if (patch.ObservedAt is { } observed && before.ValidTo is { } ended && observed > ended)
            throw AddRequestRules.Invalid("observedAt", "This memory ended before that.");
        var text = patch.Text ?? before.Text;
        var isNew = patch.Text is not null && !string.Equals(patch.Text, before.Text, StringComparison.Ordinal);
        var vector = isNew ? (await embedding.TryEmbedAsync([text], ct))?[0] ?? ReadOnlyMemory<float>.Empty : (ReadOnlyMemory<float>?)null;
        return new MemoryEdit(
            before,
            text,
            ContentHash.Of(text, before.Kind, patch.ObservedAt ?? before.ObservedAt, before.Role, before.Actor),
            before.Kind == MemoryKind.Fact && (before.Scope.UserId ?? before.Scope.AgentId) is not null ? FactSlot.Parse(text)?.Name : null,
            patch.Metadata is { ValueKind: JsonValueKind.Object } metadata ? metadata.GetRawText() : before.Metadata,
            patch.Categories is { } categories ? [.. categories.Distinct(StringComparer.Ordinal)] : before.Categories,
            patch.ClearExpiresAt ? null : patch.ExpiresAt ?? before.ExpiresAt,
            patch.ObservedAt ?? before.ObservedAt,
            before.Status,
            vector);
    }

    internal static void Check(MemoryPatch patch, MemoryOptions options, DateTimeOffset now)
    {
        if (patch is { Text: null, Metadata: null, Categories: null, ExpiresAt: null, ClearExpiresAt: false, ObservedAt: null })
            throw AddRequestRules.Invalid("text", "Nothing to change was given.");
        if (patch.Text is { } text)
            AddRequestRules.CheckText("text", text, options);
        AddRequestRules.CheckMetadata(patch.Metadata, options);
        AddRequestRules.CheckCategories(patch.Categories);
        AddRequestRules.CheckObserved(patch.ObservedAt, now);
        if (patch is { ClearExpiresAt: true, ExpiresAt: not null })
            throw AddRequestRules.Invalid("clearExpiresAt", "Give a new expiry or take it away, not both.");
    }
}
