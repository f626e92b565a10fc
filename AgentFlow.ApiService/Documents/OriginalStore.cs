using System.Buffers;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Documents;

/// <param name="Id">Under which the parts are kept.</param>
/// <param name="Size">Bytes.</param>
/// <param name="ContentHash">SHA-256 of the bytes.</param>
internal sealed record StoredOriginal(Guid Id, long Size, byte[] ContentHash);

/// <summary>
/// The bytes of uploads, in Postgres so that one backup holds everything. A file is written in parts while it streams in: memory stays
/// at a few parts and no connection is held while a client is slow. Until a document claims it, it is loose, and a sweep removes it.
/// </summary>
internal sealed class OriginalStore(Database database)
{
    /// <summary>Bytes in every part but the last; part n starts at n times this.</summary>
    public const int PartSize = 256 * 1024;

    private const int PartsPerRoundTrip = 4;

    private const string InsertOriginal = "insert into document_originals (id, owner_id) values ($1, $2)";

    private const string InsertPart = "insert into document_original_parts (original_id, part, owner_id, bytes) values ($1, $2, $3, $4)";

    private const string ReadParts =
        "select bytes from document_original_parts where original_id = $1 and part between $2 and $3 order by part";

    private const string LeaveOriginal = "insert into document_remains (owner_id, original_id) values ($1, $2)";

    /// <summary>They are told apart from those that nobody has seen yet by being attached to nothing.</summary>
    private const string LeaveLoose = """
        with loose as (
            update document_originals set attached = true
            where id in (select id from document_originals where not attached and created_at < now() - $1::interval limit 1000 for update skip locked)
            returning id, owner_id)
        insert into document_remains (owner_id, original_id) select owner_id, id from loose
        """;

    /// <returns>Null when the stream holds more than <paramref name="maxBytes"/>; nothing is kept then.</returns>
    public async Task<StoredOriginal?> WriteAsync(Guid ownerId, ReadOnlyMemory<byte> leading, Stream content, long maxBytes, CancellationToken ct)
    {
        var id = Guid.CreateVersion7();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long size = 0;
        var part = 0;
        var source = new PrefixedReader(leading, content);
        var buffers = new byte[PartsPerRoundTrip][];
        for (var i = 0; i < buffers.Length; i++)
            buffers[i] = ArrayPool<byte>.Shared.Rent(PartSize);
        try
        {
            var more = true;
            while (more)
            {
                var batch = database.ForOwner(ownerId).CreateBatch();
                if (part == 0)
                    batch.Add(InsertOriginal, [id, ownerId]);
                foreach (var buffer in buffers)
                {
                    var read = await source.FillAsync(buffer.AsMemory(0, PartSize), ct);
                    more = read == PartSize;
                    if (read == 0)
                        break;
                    hash.AppendData(buffer, 0, read);
                    size += read;
                    batch.Add(InsertPart, [id, part++, ownerId, new ReadOnlyMemory<byte>(buffer, 0, read)]);
                    if (!more || size > maxBytes)
                        break;
                }

                if (size > maxBytes)
                {
                    await LeaveAsync(ownerId, id, ct);
                    return null;
                }

                if (batch.Count > 0)
                    await batch.ExecuteAsync(ct);
            }
        }
        finally
        {
            foreach (var buffer in buffers)
                ArrayPool<byte>.Shared.Return(buffer);
        }

        return new StoredOriginal(id, size, hash.GetHashAndReset());
    }

    /// <summary>Bytes <paramref name="start"/> (inclusive) to <paramref name="end"/> (exclusive), a few parts in memory at a time.</summary>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(
        Guid ownerId, Guid originalId, long start, long end, [EnumeratorCancellation] CancellationToken ct)
    {
        var position = start;
        while (position < end)
        {
            var first = (int)(position / PartSize);
            var last = (int)Math.Min((end - 1) / PartSize, first + PartsPerRoundTrip - 1);
            var parts = await database.ForOwner(ownerId).QueryAsync(ReadParts, [originalId, first, last], reader => (byte[])reader[0], ct);
            if (parts.Count != last - first + 1)
                throw new InvalidDataException($"The original {originalId} lacks parts between {first} and {last}.");
            foreach (var bytes in parts)
            {
                var offset = (int)(position % PartSize);
                var length = (int)Math.Min(bytes.Length - offset, end - position);
                yield return bytes.AsMemory(offset, length);
                position += length;
            }
        }
    }

    /// <summary>Gives up an original that no document names; <see cref="DocumentFollowUp"/> takes its parts away.</summary>
    public Task LeaveAsync(Guid ownerId, Guid originalId, CancellationToken ct) =>
        database.ForOwner(ownerId).ExecuteAsync(LeaveOriginal, [ownerId, originalId], ct);

    /// <summary>Gives up originals of uploads that ended long ago without a document.</summary>
    /// <returns>How many; the rest is for the next time.</returns>
    public Task<int> SweepAsync(TimeSpan olderThan, CancellationToken ct) => database.AsWorker().ExecuteAsync(LeaveLoose, [olderThan], ct);

    /// <summary>Gives the bytes that were already looked at before those that still come.</summary>
    private sealed class PrefixedReader(ReadOnlyMemory<byte> prefix, Stream rest)
    {
        private ReadOnlyMemory<byte> prefix = prefix;

        /// <summary>Fills the buffer, less only at the end.</summary>
        public async ValueTask<int> FillAsync(Memory<byte> buffer, CancellationToken ct)
        {
            var filled = Math.Min(prefix.Length, buffer.Length);
            prefix[..filled].CopyTo(buffer);
            prefix = prefix[filled..];
            return filled + await rest.ReadAtLeastAsync(buffer[filled..], buffer.Length - filled, throwOnEndOfStream: false, ct);
        }
    }
}
