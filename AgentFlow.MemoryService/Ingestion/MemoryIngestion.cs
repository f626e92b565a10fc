using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Events;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>How a request becomes memories: bind and check, extract or take as it is, embed, drop what is known, store, index. Thread-safe.</summary>
internal sealed class MemoryIngestion(
    FactExtraction extraction, SimilarityDeduplication similar, MemoryEmbedding embedding, MemoryStore store, IndexedWrites index,
    EventReader events, IOptions<MemoryOptions> options, TimeProvider time)
{
    /// <exception cref="ProblemException">The request is refused.</exception>
    internal MemoryScope Check(MemoryCaller caller, AddMemoryRequest request)
    {
        var scope = caller.Bind(new MemoryScope
        {
            UserId = request.UserId, AgentId = request.AgentId, SessionId = request.SessionId, AppId = request.AppId,
        });
        AddRequestRules.Check(request, scope, options.Value, time.GetUtcNow());
        return scope;
    }

    internal async Task<AddMemoryResponse> AddAsync(MemoryCaller caller, AddMemoryRequest request, Operation operation, CancellationToken ct)
    {
        var scope = Check(caller, request);
        if (operation.MayRepeat && await events.OfOperationAsync(caller.OwnerId, operation.Id, ct) is { Count: > 0 } before)
            return EventReader.ToResponse(before);
        var found = request.Infer
            ? await extraction.ExtractAsync(caller.OwnerId, scope, request, ct)
            : new Extraction([], "verbatim") { Trust = request.Trust ?? MemoryTrust.User };
        var drafts = request.Infer ? Drafts(scope, request, found) : Verbatim(scope, request, found.Trust);
        var embedded = await embedding.EmbedAsync(drafts, ct);
        var known = request.Infer ? await similar.FindAsync(caller.OwnerId, embedded.Memories, ct) : Known.None;
        var fresh = embedded.Memories.Where(memory => !known.Has(memory)).ToList();
        if (request.DryRun)
            return Answer((await store.TryAsync(caller.OwnerId, operation.Id, fresh, embedding.Model, ct)).Select(ToAddition), known, found, embedded.Degraded) with { DryRun = true };
        var stored = await store.AddAsync(caller.OwnerId, operation.Id, fresh, embedding.Model, ct);
        await index.AddedAsync(caller.OwnerId, stored, ct);
        return Answer(stored.Select(ToAddition), known, found, embedded.Degraded);
    }

    private List<NewMemory> Verbatim(MemoryScope scope, AddMemoryRequest request, MemoryTrust trust)
    {
        var now = time.GetUtcNow();
        if (request.Text is { } text)
            return [Draft(scope, request, text, request.Kind, trust, now)];
        return [.. request.Messages!
            .Where(message => !message.Role.Equals("system", StringComparison.OrdinalIgnoreCase))
            .Select(message => Draft(scope, request, message.Content, request.Kind == MemoryKind.Fact ? MemoryKind.Message : request.Kind, trust, now, message))];
    }

    private List<NewMemory> Drafts(MemoryScope scope, AddMemoryRequest request, Extraction found)
    {
        var now = time.GetUtcNow();
        var status = options.Value.ReviewInferred ? MemoryStatus.Pending : MemoryStatus.Active;
        return [.. found.Facts.Select(fact => Draft(scope, request, fact.Text, request.Kind, Lowest(request.Trust, found.Trust), now) with
        {
            Categories = [.. (request.Categories ?? []).Concat(fact.Categories).Distinct(StringComparer.Ordinal)],
            Contradicts = fact.Contradicts,
            Relations = fact.Relations,
            Status = status,
        })];
    }

    private static NewMemory Draft(
        MemoryScope scope, AddMemoryRequest request, string text, MemoryKind kind, MemoryTrust trust, DateTimeOffset now, MemoryMessage? message = null) => new()
        {
            Scope = scope,
            Kind = kind,
            Text = text,
            ContentHash = ContentHash.Of(text, kind, request.ObservedAt, message?.Role, message?.Name),
            Slot = kind == MemoryKind.Fact && SlotsApply(scope) ? FactSlot.Parse(text) : null,
            Metadata = request.Metadata is { } metadata && metadata.ValueKind == System.Text.Json.JsonValueKind.Object ? metadata.GetRawText() : "{}",
            Categories = [.. (request.Categories ?? []).Distinct(StringComparer.Ordinal)],
            Trust = trust,
            Source = request.Source,
            Role = message?.Role,
            Actor = message?.Name,
            Immutable = request.Immutable,
            CreatedAt = now,
            ObservedAt = request.ObservedAt,
            ExpiresAt = request.ExpiresAt,
            Entities = EntityNames.In(text),
        };

    /// <summary>"My name is" is about one person only where the memory has a person, or the agent itself.</summary>
    private static bool SlotsApply(MemoryScope scope) => scope.UserId is not null || scope.AgentId is not null;

    /// <summary>Consolidating or concluding never raises the trust of what it was taken from.</summary>
    private static MemoryTrust Lowest(MemoryTrust? asked, MemoryTrust found) => asked is { } given && given > found ? given : found;

    private static MemoryAddition ToAddition(StoredMemory stored) =>
        new(stored.Id, stored.Memory.Text, stored.Change, stored.Supersedes.Count > 0 ? stored.Supersedes[0] : null);

    private static AddMemoryResponse Answer(IEnumerable<MemoryAddition> items, Known known, Extraction found, string? embeddingProblem)
    {
        string[] degraded = [.. found.Degraded ?? [], .. embeddingProblem is null ? Array.Empty<string>() : [embeddingProblem]];
        return new AddMemoryResponse([.. items, .. known.Additions], found.How, found.InputTokens, found.OutputTokens)
        {
            Degraded = degraded.Length == 0 ? null : degraded,
        };
    }
}
