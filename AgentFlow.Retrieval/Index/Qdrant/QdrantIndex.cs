using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json;
using AgentFlow.Retrieval.Embedding;

namespace AgentFlow.Retrieval.Index.Qdrant;

/// <summary>
/// Index in a Qdrant server. Searches go to the alias of the embedding space, writes to every collection of the space, so that one which is
/// being rebuilt misses nothing. Writes wait until they are applied, name their points by id, and never replace a newer version; a deletion
/// is a tombstone, because an upsert inserts a missing point whatever its guard says. Thread-safe.
/// </summary>
internal sealed class QdrantIndex(HttpClient http, QdrantOptions options, EmbeddingSpace space, TimeProvider time) : IVectorIndex
{
    /// <summary>Points in one request: about 1.5 MB of JSON with 512 dimensions.</summary>
    private const int WriteBatch = 256;

    private const int ScanPage = 1_000;

    private readonly QdrantClient _client = new(http, options);
    private readonly QdrantCollections _collections = new(new QdrantClient(http, options), options, space, time);

    /// <summary>For rebuilding beside the collection that serves.</summary>
    internal QdrantCollections Collections => _collections;

    public async Task WriteAsync(Guid ownerId, IReadOnlyList<IndexWrite> writes, CancellationToken ct)
    {
        if (writes.Count == 0)
            throw new ArgumentException("There is nothing to write.", nameof(writes));
        foreach (var write in writes)
        {
            if (write is IndexWrite.Put { Point.Vector.Length: > 0 and var length } && length != space.Dimensions)
                throw new ArgumentException($"Point {write.Id} has {length} dimensions, the index {space.Dimensions}.", nameof(writes));
        }

        var written = new HashSet<string>(StringComparer.Ordinal);
        while (await NextAsync(written, ct) is { } collection)
        {
            try
            {
                await WriteToAsync(collection, ownerId, writes, ct);
                written.Add(collection);
            }
            catch (QdrantException error) when (error.Status == HttpStatusCode.NotFound)
            {
                // The collection went away after a switch, or with the server's data; what is there now gets the write.
                _collections.Forget();
                if ((await _collections.ForWritesAsync(ct)).Contains(collection))
                    throw;
            }
        }
    }

    public Task<IReadOnlyList<IndexHit>> SearchAsync(Guid ownerId, IndexQuery query, CancellationToken ct) =>
        new QdrantSearch(_client, _collections.Alias, ownerId, query, options.IndexedColumns).RunAsync(ct);

    public IAsyncEnumerable<IReadOnlyList<IndexEntry>> ScanAsync(CancellationToken ct) => ScanAsync(_collections.Alias, ct);

    public async Task PurgeAsync(IReadOnlyList<IndexEntry> tombstones, CancellationToken ct)
    {
        foreach (var collection in await _collections.ForWritesAsync(ct))
            await PurgeFromAsync(collection, tombstones, ct);
    }

    public bool Holds(Guid ownerId) => true;

    public async Task ProbeAsync(CancellationToken ct) => await _client.SendAsync(HttpMethod.Get, $"/collections/{_collections.Alias}", write: null, ct);

    private async Task<string?> NextAsync(HashSet<string> written, CancellationToken ct) =>
        (await _collections.ForWritesAsync(ct)).FirstOrDefault(collection => !written.Contains(collection));

    internal async Task WriteToAsync(string collection, Guid ownerId, IReadOnlyList<IndexWrite> writes, CancellationToken ct)
    {
        // Of several writes of one point in a batch only the newest counts; operations of a batch are not applied together.
        var newest = writes.GroupBy(write => write.Id).Select(group => group.MaxBy(write => write.Version)!).ToList();
        var kinds = newest.GroupBy(write => write is IndexWrite.Put);
        foreach (var batch in kinds.SelectMany(kind => kind.Chunk(WriteBatch)))
        {
            await _client.ChangeAsync(
                $"/collections/{collection}/points/batch?wait=true&ordering=strong",
                writer => QdrantPoints.WriteOperations(writer, ownerId, batch, options),
                ct);
        }
    }

    internal async Task PurgeFromAsync(string collection, IReadOnlyList<IndexEntry> tombstones, CancellationToken ct)
    {
        if (tombstones.Count == 0)
            throw new ArgumentException("There is nothing to purge.", nameof(tombstones));
        foreach (var group in tombstones.GroupBy(entry => entry.Version))
            await _client.ChangeAsync($"/collections/{collection}/points/delete?wait=true&ordering=strong", writer => WritePurge(writer, [.. group]), ct);
    }

    internal async IAsyncEnumerable<IReadOnlyList<IndexEntry>> ScanAsync(string collection, [EnumeratorCancellation] CancellationToken ct)
    {
        string? offset = null;
        do
        {
            var from = offset;
            var (entries, next) = await _client.SendAsync(
                HttpMethod.Post,
                $"/collections/{collection}/points/scroll",
                writer => WriteScroll(writer, from),
                page => (page.GetProperty("points").EnumerateArray().Select(ReadEntry).ToList(), page.GetProperty("next_page_offset").GetString()),
                ct);
            yield return entries;
            offset = next;
        }
        while (offset is not null);
    }

    private static IndexEntry ReadEntry(JsonElement point)
    {
        var payload = point.GetProperty("payload");
        var isTombstone = payload.TryGetProperty(QdrantPoints.Deleted, out var deleted) && deleted.GetBoolean();
        return new IndexEntry(
            payload.GetProperty(isTombstone ? QdrantPoints.FormerOwner : QdrantPoints.Owner).GetGuid(),
            point.GetProperty("id").GetGuid(),
            payload.GetProperty(QdrantPoints.Version).GetInt64(),
            isTombstone);
    }

    private static void WriteScroll(Utf8JsonWriter writer, string? offset)
    {
        writer.WriteStartObject();
        writer.WriteNumber("limit", ScanPage);
        if (offset is not null)
            writer.WriteString("offset", offset);
        writer.WriteStartArray("with_payload");
        writer.WriteStringValue(QdrantPoints.Owner);
        writer.WriteStringValue(QdrantPoints.FormerOwner);
        writer.WriteStringValue(QdrantPoints.Version);
        writer.WriteStringValue(QdrantPoints.Deleted);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>By id, and only what still is a tombstone of that version.</summary>
    private static void WritePurge(Utf8JsonWriter writer, IReadOnlyList<IndexEntry> tombstones)
    {
        writer.WriteStartObject();
        writer.WriteStartObject("filter");
        writer.WriteStartArray("must");
        writer.WriteStartObject();
        writer.WriteStartArray("has_id");
        foreach (var entry in tombstones)
            writer.WriteStringValue(entry.Id);
        writer.WriteEndArray();
        writer.WriteEndObject();
        QdrantPoints.WriteMatch(writer, QdrantPoints.Deleted, value: true);
        QdrantPoints.WriteMatch(writer, QdrantPoints.Version, tombstones[0].Version);
        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteEndObject();
    }
}
