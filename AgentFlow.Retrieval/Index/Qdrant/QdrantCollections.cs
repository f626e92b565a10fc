using System.Globalization;
using System.Net;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.Retrieval.Index.Qdrant;

/// <summary>
/// The collections of one embedding space: <c>name.model-dimensions.1</c>, <c>.2</c>, ... and the alias without the number, which names the one
/// that is complete. Until a first one is, there is no alias and a search is refused. Thread-safe.
/// </summary>
internal sealed class QdrantCollections(QdrantClient client, QdrantOptions options, EmbeddingSpace space, TimeProvider time)
{
    /// <summary>How long a new collection of another replica may be overlooked; what is missed meanwhile the sweep repairs.</summary>
    private static readonly TimeSpan RememberedFor = TimeSpan.FromSeconds(5);

    private volatile Remembered? _remembered;

    public string Alias { get; } = options.Alias(space);

    public void Forget() => _remembered = null;

    /// <summary>Every collection of the space; the first one is created if there is none.</summary>
    public async Task<IReadOnlyList<string>> ForWritesAsync(CancellationToken ct)
    {
        if (_remembered is { } remembered && time.GetElapsedTime(remembered.At) < RememberedFor)
            return remembered.Names;
        var names = await ListAsync(ct);
        if (names.Count == 0)
            names = [await CreateAsync(1, ct)];
        _remembered = new Remembered(names, time.GetTimestamp());
        return names;
    }

    /// <summary>The one that serves searches, or null.</summary>
    public Task<string?> CurrentAsync(CancellationToken ct) => client.SendAsync(
        HttpMethod.Get,
        "/aliases",
        write: null,
        result => result.GetProperty("aliases").EnumerateArray()
            .Where(alias => alias.GetProperty("alias_name").GetString() == Alias)
            .Select(alias => alias.GetProperty("collection_name").GetString()).FirstOrDefault(),
        ct);

    /// <summary>An empty collection beside the others, which gets all writes from now on.</summary>
    public async Task<string> CreateNextAsync(CancellationToken ct)
    {
        var numbers = (await ListAsync(ct)).Select(name => int.Parse(name.AsSpan(Alias.Length + 1), CultureInfo.InvariantCulture));
        var name = await CreateAsync(numbers.DefaultIfEmpty(0).Max() + 1, ct);
        Forget();
        return name;
    }

    /// <summary>Lets searches go to a collection, in one step, and drops the others.</summary>
    public async Task SwitchToAsync(string collection, CancellationToken ct)
    {
        await client.SendAsync(
            HttpMethod.Post,
            "/collections/aliases",
            writer =>
            {
                writer.WriteStartObject();
                writer.WriteStartArray("actions");
                writer.WriteStartObject();
                writer.WriteStartObject("create_alias");
                writer.WriteString("collection_name", collection);
                writer.WriteString("alias_name", Alias);
                writer.WriteEndObject();
                writer.WriteEndObject();
                writer.WriteEndArray();
                writer.WriteEndObject();
            },
            ct);
        foreach (var other in await ListAsync(ct))
        {
            if (other != collection)
                await DropAsync(other, ct);
        }

        Forget();
    }

    /// <summary>Drops what other embedding models left; nobody writes there any more, not even an erasure.</summary>
    public async Task DropOtherSpacesAsync(CancellationToken ct)
    {
        foreach (var name in await NamesAsync(ct))
        {
            if (name.StartsWith(options.Name + ".", StringComparison.Ordinal) && !name.StartsWith(Alias + ".", StringComparison.Ordinal))
                await DropAsync(name, ct);
        }
    }

    public async Task DropAsync(string collection, CancellationToken ct)
    {
        await client.SendAsync(HttpMethod.Delete, $"/collections/{collection}", write: null, ct);
        Forget();
    }

    public async Task<List<string>> ListAsync(CancellationToken ct)
    {
        return [.. (await NamesAsync(ct))
            .Where(name => name.Length > Alias.Length + 1 && name.StartsWith(Alias + ".", StringComparison.Ordinal) && name.AsSpan(Alias.Length + 1).IndexOfAnyExceptInRange('0', '9') < 0)
            .Order(StringComparer.Ordinal)];
    }

    private Task<List<string>> NamesAsync(CancellationToken ct) => client.SendAsync(
        HttpMethod.Get,
        "/collections",
        write: null,
        result => result.GetProperty("collections").EnumerateArray().Select(each => each.GetProperty("name").GetString() ?? string.Empty).ToList(),
        ct);

    /// <summary>
    /// No graph: building it takes more time than all else that a point costs, and a search through it, narrowed to an owner, takes longer
    /// than comparing the owner's bytes does.
    /// </summary>
    private static void WriteForm(System.Text.Json.Utf8JsonWriter writer)
    {
        WriteGraph(writer);
        writer.WritePropertyName("quantization_config");
        writer.WriteRawValue("""{"scalar": {"type": "int8", "quantile": 1.0, "always_ram": true}}""");
    }

    private static void WriteGraph(System.Text.Json.Utf8JsonWriter writer)
    {
        writer.WritePropertyName("hnsw_config");
        writer.WriteRawValue("""{"m": 0, "payload_m": 0}""");
    }

    private async Task<string> CreateAsync(int number, CancellationToken ct)
    {
        var name = $"{Alias}.{number.ToString(CultureInfo.InvariantCulture)}";
        try
        {
            await client.SendAsync(HttpMethod.Put, $"/collections/{name}", WriteCollection, ct);
        }
        catch (QdrantException error) when (error.Status == HttpStatusCode.Conflict)
        {
            // Another replica was faster.
        }

        foreach (var (field, schema) in Indexes.Concat(OwnIndexes()))
            await IndexAsync(name, field, schema, ct);
        return name;
    }

    private Task IndexAsync(string name, string field, string schema, CancellationToken ct) => client.SendAsync(
        HttpMethod.Put,
        $"/collections/{name}/index?wait=true",
        writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("field_name", field);
            writer.WritePropertyName("field_schema");
            writer.WriteRawValue(schema);
            writer.WriteEndObject();
        },
        ct);

    private IEnumerable<(string Field, string Schema)> OwnIndexes() =>
    [
        .. options.IndexedColumns.Select(column => (FilterKeys.EqualKey(new FilterField(column, []), options.IndexedColumns), "\"keyword\"")),
        .. options.IndexedDates.Select(field => (FilterKeys.Key(field, 'i'), "\"float\"")),
    ];

    private static readonly (string Field, string Schema)[] Indexes =
    [
        (QdrantPoints.Owner, """{"type": "keyword", "is_tenant": true}"""),
        (FilterKeys.Tokens, "\"keyword\""),
        (QdrantPoints.Session, "\"keyword\""),
        (QdrantPoints.Position, """{"type": "integer", "lookup": false, "range": true}"""),
        (QdrantPoints.Deleted, "\"bool\""),
    ];

    private void WriteCollection(System.Text.Json.Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteStartObject("vectors");
        writer.WriteStartObject(QdrantPoints.Dense);
        writer.WriteNumber("size", space.Dimensions);
        writer.WriteString("distance", "Dot");
        WriteForm(writer);
        writer.WriteEndObject();
        writer.WriteStartObject(QdrantPoints.Stamp);
        writer.WriteNumber("size", QdrantPoints.StampLength);
        writer.WriteString("distance", "Dot");
        WriteGraph(writer);
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteStartObject("sparse_vectors");
        writer.WriteStartObject(QdrantPoints.Words);
        writer.WriteString("modifier", "idf");
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private sealed record Remembered(IReadOnlyList<string> Names, long At);
}
