using System.Threading.Channels;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ApiService.Documents;

/// <summary>
/// Does in small steps what a change of a large document asks for, so that the change itself is acknowledged at once: takes away what is left of
/// deleted and replaced documents, and tells the index of passages whose document is named or filed otherwise. A step is one transaction; the rows
/// that ask for it are there until it is done. Several processes may do so at once.
/// </summary>
internal sealed partial class DocumentFollowUp(
    Database database, OutboxWorker outbox, IOptions<DocumentOptions> options, TimeProvider time, ILogger<DocumentFollowUp> logger) : BackgroundService
{
    /// <summary>Passages of one step, and of a change that is made at once: some ten milliseconds' work.</summary>
    public const int PassagesPerStep = 1_000;

    private const int TextsPerStep = 200;

    /// <summary>Of 256 KiB each.</summary>
    private const int PartsPerStep = 40;

    private const string Columns = "id, document_id, up_to_version, was_searched, original_id, at_version, at_ordinal, from_version";

    private const string Next = $"select {Columns} from document_remains order by stepped_at limit 1 for update skip locked";

    /// <summary>Waits for a step that another one is making just now, so that whoever asked has seen at least one.</summary>
    private const string NextOfDocument = $"select {Columns} from document_remains where document_id = $1 order by stepped_at limit 1 for update";

    /// <summary>What the index knows leaves a tombstone until the index has forgotten it; everything else goes at once.</summary>
    internal const string TakePassages = """
        with picked as (
            select id, document_version, ordinal from chunks
            where document_id = $1 and document_version between $7 and $2 and (document_version, ordinal) > ($3, $4)
            order by document_version, ordinal limit $6),
        dropped as (delete from chunks c where not $5 and c.id = any (array(select id from picked)) and c.deleted_at is null),
        hidden as (
            update chunks c set deleted_at = now(), changed_at = now(), index_version = index_version + 1, text = '', heading_path = '{}'
            where $5 and c.id = any (array(select id from picked)) and c.deleted_at is null
            returning c.id, c.owner_id, c.index_version),
        told as (
            insert into index_outbox (entity_id, owner_id, version, op) select id, owner_id, index_version, 'delete' from hidden
            on conflict (entity_id) do update set version = excluded.version, op = 'delete', attempts = 0, not_before = now())
        select count(*)::int, coalesce((array_agg(document_version order by document_version desc, ordinal desc))[1], $3),
            coalesce((array_agg(ordinal order by document_version desc, ordinal desc))[1], $4)
        from picked
        """;

    private const string TakeTexts = """
        with gone as (
            delete from document_texts where ctid = any (array(select ctid from document_texts where document_id = $1 and version between $4 and $2 limit $3)) returning 1)
        select count(*)::int from gone
        """;

    private const string TakeParts = """
        with gone as (
            delete from document_original_parts where ctid = any (array(select ctid from document_original_parts where original_id = $1 limit $2)) returning 1)
        select count(*)::int from gone
        """;

    private const string Advance = "update document_remains set at_version = $2, at_ordinal = $3, stepped_at = clock_timestamp() where id = $1";

    private const string NextTouch = "select document_id, at_ordinal from document_touches order by stepped_at limit 1 for update skip locked";

    /// <summary>Of the version that is searched and of the one that is staged beside it. Ordinals of a version have no gaps: where either goes on, the step is full.</summary>
    internal const string TouchPassages = """
        with picked as (
            select c.id, c.ordinal from chunks c join documents d on d.id = c.document_id and c.document_version in (d.live_version, d.staged_version)
            where c.document_id = $1 and c.ordinal > $2 and c.ordinal <= $2 + $3 and c.deleted_at is null),
        touched as (
            update chunks c set index_version = index_version + 1, changed_at = now() where c.id = any (array(select id from picked)) and c.deleted_at is null
            returning c.id, c.owner_id, c.index_version),
        told as (
            insert into index_outbox (entity_id, owner_id, version, op) select id, owner_id, index_version, 'upsert' from touched
            on conflict (entity_id) do update set version = excluded.version, op = excluded.op, attempts = 0, not_before = now())
        select count(*)::int, coalesce(max(ordinal), $2) from picked
        """;

    /// <summary>Staged versions that will not be searched: cancelled, failed, or another version is made by now.</summary>
    private const string GiveUpStaged = """
        with given_up as (
            select id, owner_id, staged_version from documents where staged_version is not null and (status in ('ready', 'failed') or staged_version <> version)
            limit 100 for update skip locked),
        freed as (update documents d set staged_version = null from given_up g where d.id = g.id)
        insert into document_remains (owner_id, document_id, from_version, up_to_version, was_searched, at_version)
        select owner_id, id, staged_version, staged_version, true, staged_version from given_up
        """;

    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private sealed record Remains(Guid Id, Guid? DocumentId, int UpToVersion, bool WasSearched, Guid? OriginalId, int AtVersion, int AtOrdinal, int FromVersion);

    /// <summary>Says that something was asked for; costs nothing. Other processes look by themselves.</summary>
    public void Wake() => wake.Writer.TryWrite(true);

    /// <summary>Takes away what one step can of a document that was just deleted or replaced: of most documents, everything.</summary>
    public async Task BeginAsync(DocumentId document, CancellationToken ct)
    {
        try
        {
            await TakeAsync(document.Value, ct);
        }
        catch (Exception error) when (error is NpgsqlException or TimeoutException)
        {
            LogDatabase(error);
        }

        Wake();
    }

    /// <summary>One step of each kind. For tests and for the loop itself.</summary>
    /// <returns>False: nothing was left to be done that another process does not do.</returns>
    internal async Task<bool> StepAsync(CancellationToken ct)
    {
        var freed = await database.AsWorker().ExecuteAsync(GiveUpStaged, [], ct) > 0;
        var took = await TakeAsync(null, ct);
        var touched = await TouchAsync(ct);
        return freed || took || touched;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                while (await StepAsync(stoppingToken))
                {
                }

                await WaitAsync(stoppingToken);
            }
            catch (Exception error) when (error is NpgsqlException or TimeoutException)
            {
                LogDatabase(error);
                await Task.Delay(options.Value.UpkeepInterval, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async Task WaitAsync(CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(options.Value.UpkeepInterval);
        try
        {
            await wake.Reader.ReadAsync(limit.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // Nobody woke us: look anyway.
        }
    }

    /// <param name="document">Only what is left of this one, or null.</param>
    /// <param name="ct">Ends the step; nothing of it is kept then.</param>
    private async Task<bool> TakeAsync(Guid? document, CancellationToken ct)
    {
        await using var session = await database.AsWorker().BeginAsync(ct);
        var remains = await session.QuerySingleAsync(
            document is null ? Next : NextOfDocument,
            document is null ? [] : [document],
            row => new Remains(row.GetGuid(0), row.NullableGuid(1), row.GetInt32(2), row.GetBoolean(3), row.NullableGuid(4), row.GetInt32(5), row.GetInt32(6), row.GetInt32(7)),
            ct);
        if (remains is null)
            return false;
        var (isDone, version, ordinal) = await TakeAsync(session, remains, ct);
        var batch = session.CreateBatch();
        if (isDone)
            batch.Add("delete from document_originals where id = $1::uuid", [remains.OriginalId]).Add("delete from document_remains where id = $1", [remains.Id]);
        else
            batch.Add(Advance, [remains.Id, version, ordinal]);
        await batch.ExecuteAsync(ct);
        await session.CommitAsync(ct);
        outbox.Wake();
        return true;
    }

    private static Task<(bool IsDone, int Version, int Ordinal)> TakeAsync(DbSession session, Remains remains, CancellationToken ct) => session.CreateBatch().ByIndex()
        .Add(TakePassages, [remains.DocumentId ?? Guid.Empty, remains.UpToVersion, remains.AtVersion, remains.AtOrdinal, remains.WasSearched, PassagesPerStep, remains.FromVersion])
        .Add(TakeTexts, [remains.DocumentId ?? Guid.Empty, remains.UpToVersion, TextsPerStep, remains.FromVersion])
        .Add(TakeParts, [remains.OriginalId ?? Guid.Empty, PartsPerStep])
        .ReadAsync(
            async (reader, token) =>
            {
                await reader.ReadAsync(token);
                var (isDone, version, ordinal) = (reader.GetInt32(0) < PassagesPerStep, reader.GetInt32(1), reader.GetInt32(2));
                await reader.NextResultAsync(token);
                await reader.ReadAsync(token);
                isDone &= reader.GetInt32(0) < TextsPerStep;
                await reader.NextResultAsync(token);
                await reader.ReadAsync(token);
                isDone &= reader.GetInt32(0) < PartsPerStep;
                return (isDone, version, ordinal);
            },
            ct);

    private async Task<bool> TouchAsync(CancellationToken ct)
    {
        await using var session = await database.AsWorker().BeginAsync(ct);
        var touches = await session.QueryAsync(NextTouch, [], row => (Document: row.GetGuid(0), AtOrdinal: row.GetInt32(1)), ct);
        if (touches.Count == 0)
            return false;
        var (document, from) = touches[0];
        var (count, ordinal) = await session.CreateBatch().ByIndex().Add(TouchPassages, [document, from, PassagesPerStep]).ReadAsync(
            async (row, token) => await row.ReadAsync(token) ? (row.GetInt32(0), row.GetInt32(1)) : (0, from), ct);
        if (count < PassagesPerStep)
            await session.ExecuteAsync("delete from document_touches where document_id = $1", [document], ct);
        else
            await session.ExecuteAsync("update document_touches set at_ordinal = $2, stepped_at = clock_timestamp() where document_id = $1", [document, ordinal], ct);
        await session.CommitAsync(ct);
        outbox.Wake();
        return true;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "What large documents left to be done can not reach the database; it is tried again")]
    private partial void LogDatabase(Exception error);
}
