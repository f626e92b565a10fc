using System.Globalization;
using System.Text.Json;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Retrieval.Ranking;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.Retrieval.Index.Qdrant;

/// <summary>Names in our payloads and collections, and how points are written.</summary>
internal static class QdrantPoints
{
    public const string Dense = "dense";
    public const string Words = "words";
    public const string Owner = "owner";

    /// <summary>
    /// Whose record a tombstone stands for. It has no <see cref="Owner"/>: a search's condition never comes upon it, and Qdrant, which lays the points of
    /// an owner side by side, keeps it out from between the living ones.
    /// </summary>
    public const string FormerOwner = "former_owner";

    public const string Version = "version";
    public const string Deleted = "deleted";
    public const string Session = "session";
    public const string Position = "position";
    public const string Speaker = "speaker";
    public const string At = "at";

    /// <summary>
    /// A vector of three numbers that nothing is compared with: the version, and whether the point is a turn. A search reads it with each hit,
    /// since reading a payload, which Qdrant keeps as compressed JSON, costs it ten times as much.
    /// </summary>
    public const string Stamp = "stamp";

    public const int StampLength = 3;

    private const string All = $"{Dense} {Words} {Stamp}";
    private const string Both = $"{Dense} {Words}";

    /// <summary>What is read of a turn; texts never come from here.</summary>
    public static readonly string[] TurnFields = [Version, Session, Position, Speaker, At];

    /// <summary>
    /// Operations for <c>points/batch</c>: one for each version, since the guard compares with a constant. A point is replaced when the
    /// stored version is older, or the same but neither this owner's nor a tombstone of this owner's (a change of owner leaves one of the other). Of a point in an optimized
    /// segment, an upsert leaves the vectors that it does not name as they were: those are taken away after it.
    /// </summary>
    public static void WriteOperations(Utf8JsonWriter writer, Guid ownerId, IReadOnlyList<IndexWrite> writes, QdrantOptions options)
    {
        var fields = new Dictionary<object, FilterKeys.Flattened>(ReferenceEqualityComparer.Instance);
        writer.WriteStartObject();
        writer.WriteStartArray("operations");
        foreach (var group in writes.Select(Prepared.Of).GroupBy(each => each.Write.Version).OrderBy(group => group.Key))
        {
            writer.WriteStartObject();
            writer.WriteStartObject("upsert");
            writer.WriteStartArray("points");
            foreach (var each in group)
                WritePoint(writer, ownerId, each, options, fields);
            writer.WriteEndArray();
            WriteGuard(writer, ownerId, group.Key, group.First().Write is IndexWrite.Put);
            writer.WriteEndObject();
            writer.WriteEndObject();
            foreach (var lacking in group.GroupBy(each => each.Lacks).Where(each => each.Key.Length > 0))
                WriteVectorsAway(writer, ownerId, group.Key, lacking);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>
    /// Only this owner's points, and whatever else is asked. Nothing is said of tombstones: they are nobody's, and a condition is looked at for each
    /// point of the owner.
    /// </summary>
    public static void WriteOwnerFilter(
        Utf8JsonWriter writer, Guid ownerId, FilterExpression? filter, IReadOnlySet<string> ownColumns, Action<Utf8JsonWriter>? further = null)
    {
        var (must, mustNot) = (new List<FilterExpression>(), new List<FilterExpression>());
        if (filter is not null)
            FilterQdrant.Split(filter, must, mustNot);
        writer.WriteStartObject("filter");
        writer.WriteStartArray("must");
        WriteMatch(writer, Owner, ownerId.ToString());
        foreach (var item in must)
            FilterQdrant.Write(writer, item, ownColumns);
        further?.Invoke(writer);
        writer.WriteEndArray();
        if (mustNot.Count > 0)
        {
            writer.WriteStartArray("must_not");
            foreach (var item in mustNot)
                FilterQdrant.Write(writer, item, ownColumns);
            writer.WriteEndArray();
        }

        writer.WriteEndObject();
    }

    public static void WriteMatch(Utf8JsonWriter writer, string key, object value)
    {
        writer.WriteStartObject();
        writer.WriteString("key", key);
        writer.WriteStartObject("match");
        writer.WritePropertyName("value");
        JsonSerializer.Serialize(writer, value);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    public static void WriteRange(Utf8JsonWriter writer, string key, long? atLeast, long? below)
    {
        writer.WriteStartObject();
        writer.WriteString("key", key);
        writer.WriteStartObject("range");
        if (atLeast is { } low)
            writer.WriteNumber("gte", low);
        if (below is { } high)
            writer.WriteNumber("lt", high);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    public static Turn? ReadTurn(JsonElement payload)
    {
        if (!payload.TryGetProperty(Session, out var session))
            return null;
        return new Turn(
            session.GetString()!,
            payload.GetProperty(Position).GetInt64(),
            payload.TryGetProperty(Speaker, out var speaker) ? speaker.GetString() : null,
            payload.TryGetProperty(At, out var at) ? at.GetDateTimeOffset() : null);
    }

    /// <summary>As hash and weight: with the collection's IDF modifier the product is the BM25 score.</summary>
    public static void WriteSparse(Utf8JsonWriter writer, IEnumerable<(uint Term, float Weight)> terms)
    {
        var list = terms.ToList();
        writer.WriteStartObject();
        writer.WriteStartArray("indices");
        foreach (var (term, _) in list)
            writer.WriteNumberValue(term);
        writer.WriteEndArray();
        writer.WriteStartArray("values");
        foreach (var (_, weight) in list)
            writer.WriteNumberValue(weight);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>By id, and only of points that were written just before, or are the same: the guard may have left others as they are.</summary>
    private static void WriteVectorsAway(Utf8JsonWriter writer, Guid ownerId, long version, IGrouping<string, Prepared> lacking)
    {
        writer.WriteStartObject();
        writer.WriteStartObject("delete_vectors");
        writer.WriteStartObject("filter");
        writer.WriteStartArray("must");
        writer.WriteStartObject();
        writer.WriteStartArray("has_id");
        foreach (var each in lacking)
            writer.WriteStringValue(each.Write.Id);
        writer.WriteEndArray();
        writer.WriteEndObject();
        WriteMatch(writer, Version, version);
        WriteMatch(writer, lacking.First().Write is IndexWrite.Remove ? FormerOwner : Owner, ownerId.ToString());
        writer.WriteEndArray();
        writer.WriteEndObject();
        WriteVectorNames(writer, lacking.Key);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteVectorNames(Utf8JsonWriter writer, string names)
    {
        writer.WriteStartArray("vector");
        foreach (var name in names.Split(' '))
            writer.WriteStringValue(name);
        writer.WriteEndArray();
    }

    private static void WriteGuard(Utf8JsonWriter writer, Guid ownerId, long version, bool isPut)
    {
        writer.WriteStartObject("update_filter");
        writer.WriteStartArray("should");
        WriteRange(writer, Version, atLeast: null, below: version);
        if (isPut)
        {
            writer.WriteStartObject();
            writer.WriteStartArray("must");
            WriteMatch(writer, Version, version);
            writer.WriteEndArray();
            writer.WriteStartArray("must_not");
            WriteMatch(writer, Owner, ownerId.ToString());
            WriteMatch(writer, FormerOwner, ownerId.ToString());
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WritePoint(Utf8JsonWriter writer, Guid ownerId, Prepared prepared, QdrantOptions options, Dictionary<object, FilterKeys.Flattened> fields)
    {
        var write = prepared.Write;
        writer.WriteStartObject();
        writer.WriteString("id", write.Id);
        writer.WriteStartObject("vector");
        if (!prepared.Vector.IsEmpty)
        {
            writer.WritePropertyName(Dense);
            VectorJson.Write(writer, prepared.Vector.Span);
        }

        if (prepared.Text is { Terms.Count: > 0 } text)
        {
            writer.WritePropertyName(Words);
            WriteSparse(writer, text.Terms.Select(term => (term.Term, Bm25.TermWeight(term.Count, text.Length, options.AverageLength))));
        }

        if (write is IndexWrite.Put { Point: var stamped })
        {
            writer.WritePropertyName(Stamp);
            new PointStamp(stamped.Version, stamped.Turn is not null).Write(writer);
        }

        writer.WriteEndObject();
        writer.WriteStartObject("payload");
        writer.WriteNumber(Version, write.Version);
        if (write is IndexWrite.Put { Point: var point })
        {
            writer.WriteString(Owner, ownerId);
            WritePayload(writer, point, options, fields);
        }
        else
        {
            writer.WriteString(FormerOwner, ownerId);
            writer.WriteBoolean(Deleted, true);
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WritePayload(Utf8JsonWriter writer, IndexPoint point, QdrantOptions options, Dictionary<object, FilterKeys.Flattened> fields)
    {
        if (point.Turn is { } turn)
        {
            writer.WriteString(Session, turn.Session);
            writer.WriteNumber(Position, turn.Position);
            if (turn.Speaker is not null)
                writer.WriteString(Speaker, turn.Speaker);
            if (turn.ObservedAt is { } at)
                writer.WriteString(At, at.ToString("O", CultureInfo.InvariantCulture));
        }

        if (!fields.TryGetValue(point.Fields, out var flat))
            fields[point.Fields] = flat = FilterKeys.Flatten(point.Fields, options.IndexedColumns);
        flat.Write(writer);
    }

    /// <param name="Text">Null for a tombstone.</param>
    private sealed record Prepared(IndexWrite Write, ReadOnlyMemory<float> Vector, TermVector? Text)
    {
        /// <summary>The names of the vectors that the point does not have.</summary>
        public string Lacks => (Vector.IsEmpty, Text is not { Terms.Count: > 0 }) switch
        {
            _ when Write is IndexWrite.Remove => All,
            (true, true) => Both,
            (true, false) => Dense,
            (false, true) => Words,
            _ => string.Empty,
        };

        public static Prepared Of(IndexWrite write) =>
            write is IndexWrite.Put { Point: var point } ? new Prepared(write, point.Vector, Analyzer.Index(point.Text)) : new Prepared(write, default, null);
    }
}
