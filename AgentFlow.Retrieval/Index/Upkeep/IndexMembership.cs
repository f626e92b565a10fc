using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.Retrieval.Index.Upkeep;

/// <param name="IsComplete">The index of this process's space holds all that is committed and not in the outbox.</param>
/// <param name="IsAlone">No process of another space is alive.</param>
/// <param name="IsHeeded">Every process of another space knows of this one, and no longer asks an index that this one does not write.</param>
internal readonly record struct IndexStanding(bool IsComplete, bool IsAlone, bool IsHeeded);

/// <summary>
/// Which processes write this service's index, each for the space of its own embedding model: indexes of two spaces do not get each other's
/// writes. By the database's clock; a process that died counts as alive for <see cref="Lease"/> more. Used by one caller at a time.
/// </summary>
/// <param name="space">What tells the index apart, such as <c>agentflow-memory.hashing-1-512</c>.</param>
/// <param name="isExact">The index is read from the database when it is asked, and misses nothing.</param>
internal sealed class IndexMembership(Database database, string space, bool isExact)
{
    internal static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    /// <summary>One at a time, to the end of the transaction: of two that come at once, the later one sees the other. The number means nothing ("indexes").</summary>
    private const string OneByOneSql = "select pg_advisory_xact_lock(x'00696e6465786573'::bigint)";

    private const string JoinSql =
        """
        insert into index_processes (id, space, active_until, yields) values ($1, $2, now() + $3, $4)
        on conflict (id) do update set active_until = excluded.active_until, yields = excluded.yields
        """;

    private const string OwnSpaceSql = "insert into index_spaces (space) values ($1) on conflict do nothing";

    private const string OtherSpacesSql = "update index_spaces set complete = false where space <> $1 and complete";

    private const string ForgetSql = "delete from index_processes where active_until < now() - interval '1 hour'";

    private const string StandingSql =
        """
        select s.complete,
            not exists (select from index_processes p where p.space <> $1 and p.active_until > now()),
            not exists (select from index_processes p where p.space <> $1 and p.active_until > now() and not p.yields)
        from index_spaces s where s.space = $1
        """;

    private const string CompleteSql =
        """
        update index_spaces set complete = true
        where space = $1 and not exists (select from index_processes p where p.space <> $1 and p.active_until > now())
        """;

    private readonly Guid _id = Guid.CreateVersion7();

    /// <summary>Says that this process lives, and that what the others have is incomplete from now on.</summary>
    /// <param name="yields">This process asks no index but an exact one.</param>
    public Task<IndexStanding> RenewAsync(bool yields, CancellationToken ct)
    {
        var batch = database.AsWorker().CreateBatch().Relaxed()
            .Add(OneByOneSql, [])
            .Add(JoinSql, [_id, space, Lease, yields || isExact])
            .Add(OwnSpaceSql, [space])
            .Add(OtherSpacesSql, [space])
            .Add(ForgetSql, [])
            .Add(StandingSql, [space]);
        return batch.ReadAsync(
            async (reader, token) => await reader.NextResultAsync(token) && await reader.ReadAsync(token) ? new IndexStanding(reader.GetBoolean(0), reader.GetBoolean(1), reader.GetBoolean(2)) : default, ct);
    }

    /// <summary>After the index was brought to what the rows say, with no other space about since before that began.</summary>
    public Task CompleteAsync(CancellationToken ct) => database.AsWorker().ExecuteAsync(CompleteSql, [space], ct);

    public Task LeaveAsync(CancellationToken ct) => database.AsWorker().ExecuteAsync("delete from index_processes where id = $1", [_id], ct);
}
