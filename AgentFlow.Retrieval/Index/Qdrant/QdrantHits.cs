using System.Text.Json;

namespace AgentFlow.Retrieval.Index.Qdrant;

/// <summary>
/// Reads the answer to a batch of queries in one pass. As a tree of elements, which is built first and looked up by name after, the hundreds of hits of
/// a search were most of what it cost the service. Pure.
/// </summary>
internal static class QdrantHits
{
    /// <summary>The hits of each query, in the order of the queries, best first.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    /// <exception cref="InvalidOperationException">It is the answer to something else.</exception>
    /// <exception cref="FormatException">An id or a number has another form.</exception>
    public static List<List<QdrantHit>> Read(ReadOnlySpan<byte> answer)
    {
        var reader = new Utf8JsonReader(answer);
        List<List<QdrantHit>>? results = null;
        Next(ref reader, JsonTokenType.StartObject);
        while (NextName(ref reader))
        {
            if (reader.ValueTextEquals("result"u8))
                results = ReadArray(ref reader, ReadResult);
            else
                reader.Skip();
        }

        return results ?? throw new InvalidOperationException("there is no result");
    }

    /// <summary>Reads one element whose first token is the current one, up to its last.</summary>
    private delegate T ReadOne<T>(ref Utf8JsonReader reader);

    private static List<T> ReadArray<T>(ref Utf8JsonReader reader, ReadOne<T> read)
    {
        Next(ref reader, JsonTokenType.StartArray);
        var items = new List<T>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            items.Add(read(ref reader));
        return items;
    }

    private static List<QdrantHit> ReadResult(ref Utf8JsonReader reader)
    {
        Require(reader.TokenType, JsonTokenType.StartObject);
        List<QdrantHit>? points = null;
        while (NextName(ref reader))
        {
            if (reader.ValueTextEquals("points"u8))
                points = ReadArray(ref reader, ReadPoint);
            else
                reader.Skip();
        }

        return points ?? throw new InvalidOperationException("a query has no points");
    }

    private static QdrantHit ReadPoint(ref Utf8JsonReader reader)
    {
        Require(reader.TokenType, JsonTokenType.StartObject);
        Guid? id = null;
        var hit = default(QdrantHit);
        while (NextName(ref reader))
        {
            if (reader.ValueTextEquals("id"u8))
            {
                Next(ref reader, JsonTokenType.String);
                id = reader.GetGuid();
            }
            else if (reader.ValueTextEquals("score"u8))
            {
                hit = hit with { Score = Number(ref reader) };
            }
            else if (reader.ValueTextEquals("vector"u8))
            {
                hit = hit with { Stamp = ReadStamp(ref reader) };
            }
            else if (reader.ValueTextEquals("payload"u8))
            {
                reader.Read();
                hit = hit with { Payload = JsonElement.ParseValue(ref reader) };
            }
            else
            {
                reader.Skip();
            }
        }

        return id is { } known ? hit with { Id = known } : throw new InvalidOperationException("a point has no id");
    }

    /// <summary>The stamp among the vectors that came with a point; null where none did.</summary>
    private static PointStamp? ReadStamp(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
            return null;
        Require(reader.TokenType, JsonTokenType.StartObject);
        PointStamp? stamp = null;
        while (NextName(ref reader))
        {
            if (!reader.ValueTextEquals(QdrantPoints.Stamp))
            {
                reader.Skip();
                continue;
            }

            Next(ref reader, JsonTokenType.StartArray);
            stamp = PointStamp.Of(Number(ref reader), Number(ref reader), Number(ref reader));
            Next(ref reader, JsonTokenType.EndArray);
        }

        return stamp;
    }

    private static double Number(ref Utf8JsonReader reader)
    {
        Next(ref reader, JsonTokenType.Number);
        return reader.GetDouble();
    }

    /// <summary>The object's next member; false at its end.</summary>
    private static bool NextName(ref Utf8JsonReader reader) => reader.Read() && reader.TokenType == JsonTokenType.PropertyName;

    private static void Next(ref Utf8JsonReader reader, JsonTokenType wanted)
    {
        reader.Read();
        Require(reader.TokenType, wanted);
    }

    private static void Require(JsonTokenType found, JsonTokenType wanted)
    {
        if (found != wanted)
            throw new InvalidOperationException($"{found} is where {wanted} should be");
    }
}

/// <param name="Score">Null where the point was only read.</param>
/// <param name="Stamp">Null unless it was asked for.</param>
/// <param name="Payload">Null unless any of it was asked for.</param>
internal readonly record struct QdrantHit(Guid Id, double? Score, PointStamp? Stamp, JsonElement? Payload);

/// <summary>What <see cref="QdrantPoints.Stamp"/> says.</summary>
internal readonly record struct PointStamp(long Version, bool IsTurn)
{
    /// <summary>A 32-bit float holds whole numbers exactly below this.</summary>
    private const long Base = 1 << 24;

    public static PointStamp Of(double low, double high, double turn) => new((long)low + ((long)high * Base), turn > 0);

    public void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        writer.WriteNumberValue(Version % Base);
        writer.WriteNumberValue(Version / Base);
        writer.WriteNumberValue(IsTurn ? 1 : 0);
        writer.WriteEndArray();
    }
}
