using System.Globalization;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Chat;

/// <summary>Conversations and their messages, as the owner reads and edits them.</summary>
internal sealed class Conversations(Database database)
{
    private const string ActiveRun =
        "(select r.id from runs r where r.conversation_id = c.id and r.ended_at is null order by r.position limit 1)";

    private const string SelectPage = $"""
        select c.id, c.title, c.agent, c.created_at, c.updated_at, {ActiveRun}
        from conversations c
        where c.is_kept and ($1::timestamptz is null or (c.updated_at, c.id) < ($1::timestamptz, $2::uuid))
        order by c.updated_at desc, c.id desc limit $3
        """;

    private const string SelectOne = $"select c.id, c.title, c.agent, c.created_at, c.updated_at, {ActiveRun} from conversations c where c.id = $1 and c.is_kept";

    private const string SelectMessages = """
        select m.id, m.parent_id, m.role, m.content, m.author, m.run_id, m.status, m.details::text, m.created_at, m.position, m.author_id, m.selected_text
        from messages m where m.conversation_id = $1 and m.position > $2 order by m.position limit $3
        """;

    private const string SelectNewest = """
        select * from (
            select m.id, m.parent_id, m.role, m.content, m.author, m.run_id, m.status, m.details::text, m.created_at, m.position, m.author_id, m.selected_text
            from messages m where m.conversation_id = $1 and ($2 = 0 or m.position < $2) order by m.position desc limit $3
        ) newest order by position
        """;

    private const string UpdateTitle = "update conversations set title = $2 where id = $1 and is_kept";

    private const string DeleteEvents = "delete from run_events where run_id in (select id from runs where conversation_id = $1)";

    private const string DeleteOne = "delete from conversations where id = $1 and is_kept";

    /// <summary>Finds the text as it was typed, in any case; a title counts as the conversation's newest message.</summary>
    private const string Search = """
        select * from (
            select c.id, c.title, null::uuid, null::smallint, c.title, c.updated_at as at, c.id as hit
            from conversations c where c.is_kept and strpos(lower(c.title), lower($1)) > 0
            union all
            select c.id, c.title, m.id, m.role, substr(m.content, greatest(1, strpos(lower(m.content), lower($1)) - 80), 240), m.created_at, m.id
            from messages m join conversations c on c.id = m.conversation_id and c.is_kept
            where strpos(lower(m.content), lower($1)) > 0
        ) hits
        where $3::timestamptz is null or (at, hit) < ($3::timestamptz, $4::uuid)
        order by at desc, hit desc limit $2
        """;

    public async Task<Page<ConversationSummary>> ListAsync(OwnerId owner, int limit, (DateTimeOffset Time, Guid Id)? after, CancellationToken ct)
    {
        var items = await database.ForOwner(owner.Value).QueryAsync(SelectPage, [after?.Time, after?.Id, limit + 1], ReadSummary, ct);
        var next = items.Count > limit ? Cursor.Of(items[limit - 1].UpdatedAt.ToString("O", CultureInfo.InvariantCulture), items[limit - 1].Id.ToString()) : null;
        return new([.. items.Take(limit)], next);
    }

    public Task<ConversationSummary?> FindAsync(OwnerId owner, ConversationId id, CancellationToken ct) =>
        database.ForOwner(owner.Value).QuerySingleAsync(SelectOne, [id.Value], ReadSummary, ct);

    /// <returns>Null when there is no such conversation. Oldest first; or, newest page first, each page oldest first.</returns>
    public async Task<Page<HistoryMessage>?> HistoryAsync(OwnerId owner, ConversationId id, int limit, long position, bool fromNewest, CancellationToken ct)
    {
        var batch = database.ForOwner(owner.Value).CreateBatch()
            .Add("select 1 from conversations where id = $1 and is_kept", [id.Value])
            .Add(fromNewest ? SelectNewest : SelectMessages, [id.Value, position, limit + 1]);
        var rows = await batch.ReadAsync(ReadHistoryAsync, ct);
        if (rows is null)
            return null;
        if (rows.Count <= limit)
            return new([.. rows.Select(row => row.Message)]);
        var page = fromNewest ? rows[1..] : rows[..limit];
        var next = fromNewest ? page[0].Position : page[^1].Position;
        return new([.. page.Select(row => row.Message)], Cursor.Of(next.ToString(CultureInfo.InvariantCulture)));
    }

    public async Task<bool> RenameAsync(OwnerId owner, ConversationId id, string title, CancellationToken ct) =>
        await database.ForOwner(owner.Value).ExecuteAsync(UpdateTitle, [id.Value, title], ct) > 0;

    /// <summary>Messages, runs and their logs go with it.</summary>
    public Task<bool> DeleteAsync(OwnerId owner, ConversationId id, CancellationToken ct) =>
        database.ForOwner(owner.Value).CreateBatch()
            .Add(DeleteEvents, [id.Value])
            .Add($"{DeleteOne} returning id", [id.Value])
            .ReadAsync((reader, token) => reader.ReadAsync(token), ct);

    public async Task<Page<ConversationHit>> SearchAsync(OwnerId owner, string text, int limit, (DateTimeOffset Time, Guid Id)? after, CancellationToken ct)
    {
        var hits = await database.ForOwner(owner.Value).QueryAsync(Search, [text, limit + 1, after?.Time, after?.Id], ReadHit, ct);
        var next = hits.Count > limit && hits[limit - 1] is var last
            ? Cursor.Of(last.CreatedAt.ToString("O", CultureInfo.InvariantCulture), last.MessageId?.ToString() ?? last.ConversationId.ToString())
            : null;
        return new([.. hits.Take(limit)], next);
    }

    private static ConversationSummary ReadSummary(NpgsqlDataReader reader) => new()
    {
        Id = new(reader.GetGuid(0)),
        Title = reader.GetString(1),
        Agent = reader.GetString(2),
        CreatedAt = reader.Time(3),
        UpdatedAt = reader.Time(4),
        ActiveRunId = reader.NullableGuid(5) is { } run ? new RunId(run) : null,
    };

    private static ConversationHit ReadHit(NpgsqlDataReader reader) => new()
    {
        ConversationId = new(reader.GetGuid(0)),
        Title = reader.GetString(1),
        MessageId = reader.NullableGuid(2) is { } message ? new MessageId(message) : null,
        Role = reader.IsDBNull(3) ? null : (ChatRole)reader.GetInt16(3),
        Snippet = reader.GetString(4),
        CreatedAt = reader.Time(5),
    };

    private static async Task<List<(HistoryMessage Message, long Position)>?> ReadHistoryAsync(NpgsqlDataReader reader, CancellationToken ct)
    {
        if (!await reader.ReadAsync(ct))
            return null;
        await reader.NextResultAsync(ct);
        var rows = new List<(HistoryMessage, long)>();
        while (await reader.ReadAsync(ct))
            rows.Add((ReadMessage(reader), reader.GetInt64(9)));
        return rows;
    }

    private static HistoryMessage ReadMessage(NpgsqlDataReader reader)
    {
        var details = MessageDetails.Parse(reader.NullableString(7));
        return new()
        {
            Id = new(reader.GetGuid(0)),
            ParentId = reader.NullableGuid(1) is { } parent ? new MessageId(parent) : null,
            Role = (ChatRole)reader.GetInt16(2),
            Content = reader.GetString(3),
            Author = reader.NullableString(4),
            AuthorId = reader.NullableGuid(10) is { } author ? new OwnerId(author) : null,
            SelectedText = reader.NullableString(11),
            RunId = reader.NullableGuid(5) is { } run ? new RunId(run) : null,
            Status = (RunStatus)reader.GetInt16(6),
            Citations = details.Citations,
            ToolCalls = details.ToolCalls,
            Usage = details.Usage,
            CreatedAt = reader.Time(8),
        };
    }
}
