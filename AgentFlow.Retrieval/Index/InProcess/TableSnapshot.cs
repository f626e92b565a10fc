using System.Collections.Concurrent;
using System.Text.Json;

namespace AgentFlow.Retrieval.Index.InProcess;

/// <summary>
/// What a reader sees of an owner's table: rows 0 to <see cref="Rows"/> - 1 as of one generation. The columns are shared with the writer,
/// which only appends behind the visible rows and only marks rows as dead from a later generation on.
/// </summary>
internal sealed class TableSnapshot
{
    public required int Generation { get; init; }

    public required int Rows { get; init; }

    public required int LiveRows { get; init; }

    /// <summary>Sum of the live rows' lengths in words.</summary>
    public required long LiveLength { get; init; }

    public required Guid[] Ids { get; init; }

    public required long[] Versions { get; init; }

    public required int[] Lengths { get; init; }

    /// <summary>The generation that no longer sees the row; <see cref="int.MaxValue"/> while it lives.</summary>
    public required int[] DiedAt { get; init; }

    public required IReadOnlyDictionary<string, JsonElement>[] Fields { get; init; }

    public required Turn?[] Turns { get; init; }

    public required VectorColumn Vectors { get; init; }

    public required Postings Postings { get; init; }

    public required ConcurrentDictionary<string, SessionTurns> Sessions { get; init; }

    public required FilterMasks Masks { get; init; }

    public float AverageLength => Math.Max(1f, LiveLength / (float)Math.Max(1, LiveRows));

    public bool HasDeadRows => LiveRows < Rows;

    public bool IsLive(int row) => Volatile.Read(ref DiedAt[row]) > Generation;
}
