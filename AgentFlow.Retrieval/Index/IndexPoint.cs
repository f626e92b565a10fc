using System.Text.Json;

namespace AgentFlow.Retrieval.Index;

/// <summary>What the index keeps of one record; all of it can be recomputed from the truth in Postgres.</summary>
public sealed record IndexPoint
{
    /// <summary>The record's own id; unique over all owners.</summary>
    public required Guid Id { get; init; }

    /// <summary>The record's counter, 1 or more, raised by every change; an older version never replaces a newer one.</summary>
    public required long Version { get; init; }

    /// <summary>L2-normalized, of the index's embedding space; empty when the record has none (it is then found by words only).</summary>
    public required ReadOnlyMemory<float> Vector { get; init; }

    /// <summary>What the words are taken from; the index keeps terms, not the text.</summary>
    public required string Text { get; init; }

    /// <summary>
    /// What filters see, by the schema's field names; <c>metadata</c> holds the free JSON object. Elements must outlive their document
    /// (<see cref="JsonElement.Clone"/>). Records with equal fields may share one instance, which saves memory.
    /// </summary>
    public required IReadOnlyDictionary<string, JsonElement> Fields { get; init; }

    /// <summary>Where the record stands in a conversation; null for anything else.</summary>
    public Turn? Turn { get; init; }
}

/// <param name="Session">The conversation's id, free text inside an owner.</param>
/// <param name="Position">Orders the records of a session; gaps mean nothing.</param>
/// <param name="Speaker">Who said it, as a name or a role; null when unknown.</param>
/// <param name="ObservedAt">When it was said or happened.</param>
public sealed record Turn(string Session, long Position, string? Speaker = null, DateTimeOffset? ObservedAt = null);

/// <summary>A change of one point; closed: <see cref="Put"/> and <see cref="Remove"/>.</summary>
public abstract record IndexWrite
{
    private IndexWrite()
    {
    }

    public abstract Guid Id { get; }

    public abstract long Version { get; }

    /// <summary>Inserts the point or replaces an older version of it.</summary>
    public sealed record Put(IndexPoint Point) : IndexWrite
    {
        public override Guid Id => Point.Id;

        public override long Version => Point.Version;
    }

    /// <summary>Leaves a tombstone, so that a late write of an older version can't bring the point back.</summary>
    /// <param name="PointId">The removed record.</param>
    /// <param name="RemovedVersion">The version that the deletion got in the truth, above every version that was indexed.</param>
    public sealed record Remove(Guid PointId, long RemovedVersion) : IndexWrite
    {
        public override Guid Id => PointId;

        public override long Version => RemovedVersion;
    }
}

/// <summary>What an index or the truth holds of one record, for comparing the two.</summary>
/// <param name="Deleted">A tombstone in the index; a deleted row that is not purged yet in the truth.</param>
public sealed record IndexEntry(Guid OwnerId, Guid Id, long Version, bool Deleted = false);
