using AgentFlow.ServiceDefaults.Idempotency;

namespace AgentFlow.MemoryService.Memories;

/// <summary>One request of a caller; everything it changes carries its id in the history.</summary>
/// <param name="MayRepeat">The same request may have had its effect before its answer was kept; then the history tells what it was.</param>
internal readonly record struct Operation(Guid Id, bool MayRepeat)
{
    internal static Operation Of(HttpContext context) =>
        new(IdempotencyKey.DeriveId(context), context.Features.Get<IdempotencyKey>() is not null);
}
