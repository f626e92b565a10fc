using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Index;
using AgentFlow.ServiceDefaults.Idempotency;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.MemoryService.Erasure;

internal static class ErasureEndpoints
{
    internal const string Path = "/api/subjects/erase";

    internal static void MapErasure(this IEndpointRouteBuilder routes) =>
        routes.MapPost(Path, EraseAsync).RequireAuthorization(Policies.Write).WithIdempotency().WithTags("Erasure").WithName("EraseSubject")
            .WithSummary("Removes everything about a subject from every place, and says what was removed").ProducesProblem(StatusCodes.Status400BadRequest);

    private static async Task<Ok<ErasureReceipt>> EraseAsync(
        MemoryScope subject, MemoryCaller caller, ErasureStore store, IndexedWrites writes, VectorIndex index, TimeProvider time, CancellationToken ct)
    {
        var bound = caller.Bind(subject);
        AddRequestRules.CheckScope(bound);
        var erased = await store.EraseAsync(caller.OwnerId, bound, ct);
        var inIndex = await RemoveFromIndexAsync(caller.OwnerId, bound, erased, writes, index, ct);
        var remaining = await store.RemainingAsync(caller.OwnerId, bound, erased.Points, ct);
        remaining["index"] = inIndex;
        if (await writes.ForgetInGraphAsync(caller.OwnerId, [.. erased.Points.Select(point => point.Id)], ct) is { } isForgotten)
            remaining["graph"] = isForgotten ? 0 : erased.Points.Count;
        var receipt = new ErasureReceipt
        {
            Id = Guid.CreateVersion7(), At = time.GetUtcNow(), Removed = erased.Removed, Remaining = remaining, Complete = remaining.Values.All(count => count == 0),
        };
        await store.SaveAsync(caller.OwnerId, bound, receipt, ct);
        return TypedResults.Ok(receipt);
    }

    /// <returns>How many points the index still finds; while it is down, all of them: the outbox removes them when it is back.</returns>
    private static async Task<long> RemoveFromIndexAsync(
        Guid ownerId, MemoryScope subject, ErasureStore.Erased erased, IndexedWrites writes, VectorIndex index, CancellationToken ct)
    {
        if (erased.Points.Count == 0)
            return 0;
        if (!await writes.RemoveNowAsync(ownerId, erased.Points, ct))
            return erased.Points.Count;
        var answer = await index.For(ownerId).SearchAsync(
            new IndexQuery { Text = "anything", Vector = new float[writes.Dimensions], Filter = SubjectFilter.Of(subject), Limit = 1_000 }, ct);
        var gone = erased.Points.Select(point => point.Id).ToHashSet();
        return answer.Hits.Count(hit => gone.Contains(hit.Id));
    }
}
