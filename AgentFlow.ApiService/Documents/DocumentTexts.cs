using System.Buffers.Text;
using System.Globalization;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Problems;
using Npgsql;

namespace AgentFlow.ApiService.Documents;

/// <summary>Reads the stored text and the passages of live versions.</summary>
internal sealed class DocumentTexts(Database database)
{
    /// <summary>UTF-16 units in one answer at most.</summary>
    public const int MaxRange = 200_000;

    private const string SelectLength = "select text_length from documents where id = $1";

    private const string SelectParts = """
        select t.start_offset, t.text from document_texts t
        join documents d on d.id = t.document_id and d.live_version = t.version
        where t.document_id = $1 and t.start_offset < $3 and t.end_offset > $2
        order by t.start_offset
        """;

    private const string Exists = "select id from documents where id = $1";

    private const string SelectChunks = """
        select c.id, c.ordinal, c.heading_path, c.page, c.start_offset, c.end_offset, c.text
        from chunks c
        join documents d on d.id = c.document_id and d.live_version = c.document_version
        where c.document_id = $1 and c.ordinal > $2 and c.deleted_at is null
        order by c.ordinal limit $3
        """;

    /// <summary>Null: no such document. A document that is not ready has an empty text.</summary>
    /// <param name="start">UTF-16 offset; moved back by one where it would cut a surrogate pair.</param>
    /// <param name="end">Exclusive; may lie beyond the text.</param>
    public Task<DocumentText?> ReadAsync(OwnerId owner, DocumentId document, int start, int end, CancellationToken ct)
    {
        var batch = database.ForOwner(owner.Value).CreateBatch();
        batch.Add(SelectLength, [document.Value]);
        batch.Add(SelectParts, [document.Value, start, end]);
        return batch.ReadAsync(
            async (reader, token) =>
            {
                if (!await reader.ReadAsync(token))
                    return null;
                var length = reader.GetInt32(0);
                await reader.NextResultAsync(token);
                var text = new StringBuilder();
                int? first = null;
                while (await reader.ReadAsync(token))
                {
                    first ??= reader.GetInt32(0);
                    text.Append(reader.GetString(1));
                }

                return Cut(text.ToString(), first ?? 0, start, end, length);
            },
            ct);
    }

    /// <summary>Null: no such document.</summary>
    public Task<Page<DocumentChunk>?> ChunksAsync(OwnerId owner, DocumentId document, int after, int limit, CancellationToken ct)
    {
        var batch = database.ForOwner(owner.Value).CreateBatch();
        batch.Add(Exists, [document.Value]);
        batch.Add(SelectChunks, [document.Value, after, limit + 1]);
        return batch.ReadAsync(
            async (reader, token) =>
            {
                if (!await reader.ReadAsync(token))
                    return null;
                await reader.NextResultAsync(token);
                var items = new List<DocumentChunk>();
                while (await reader.ReadAsync(token))
                    items.Add(ReadChunk(reader));
                if (items.Count <= limit)
                    return new Page<DocumentChunk>(items);
                items.RemoveAt(limit);
                return new Page<DocumentChunk>(items, ChunkCursor.Encode(items[^1].Ordinal));
            },
            ct);
    }

    private static DocumentText Cut(string text, int textStart, int start, int end, int length)
    {
        var from = Math.Clamp(start - textStart, 0, text.Length);
        var to = Math.Clamp(end - textStart, from, text.Length);
        if (from > 0 && from < text.Length && char.IsLowSurrogate(text[from]) && char.IsHighSurrogate(text[from - 1]))
            from--;
        if (to > from && to < text.Length && char.IsLowSurrogate(text[to]))
            to--;
        return new DocumentText { Start = textStart + from, End = textStart + to, Length = length, Text = text[from..to] };
    }

    private static DocumentChunk ReadChunk(NpgsqlDataReader reader) => new()
    {
        Id = new ChunkId(reader.GetGuid(0)),
        Ordinal = reader.GetInt32(1),
        HeadingPath = (string[])reader[2],
        Page = reader.NullableInt32(3),
        Start = reader.GetInt32(4),
        End = reader.GetInt32(5),
        Text = reader.GetString(6),
    };
}

/// <summary>Where the next page of passages starts.</summary>
internal static class ChunkCursor
{
    public static string Encode(int ordinal) => Base64Url.EncodeToString(Encoding.ASCII.GetBytes(ordinal.ToString(CultureInfo.InvariantCulture)));

    /// <exception cref="ProblemException">400: not a cursor of ours.</exception>
    public static int Decode(string? cursor)
    {
        if (cursor is null)
            return -1;
        if (cursor.Length <= 32 && Base64Url.IsValid(cursor)
            && int.TryParse(Encoding.ASCII.GetString(Base64Url.DecodeFromChars(cursor)), NumberStyles.None, CultureInfo.InvariantCulture, out var ordinal))
            return ordinal;
        throw new ProblemException(StatusCodes.Status400BadRequest, "invalid_cursor", "The cursor is not one that this listing gave out.");
    }
}
