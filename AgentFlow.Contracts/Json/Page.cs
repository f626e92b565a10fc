namespace AgentFlow.Contracts;

/// <summary>One page of a listing.</summary>
/// <param name="Items">At most <c>limit</c> items, in the listing's stated order.</param>
/// <param name="NextCursor">Opaque; passed back as <c>?cursor=</c>. Null on the last page.</param>
public sealed record Page<T>(IReadOnlyList<T> Items, string? NextCursor = null);
