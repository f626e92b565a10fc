using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>Statements that travel in one round trip and commit or fail together. Used once, by one caller.</summary>
public sealed class DbBatch
{
    private readonly NpgsqlBatch batch;
    private readonly bool ownsTransaction;
    private int skip;

    internal DbBatch(NpgsqlBatch batch, bool ownsTransaction)
    {
        this.batch = batch;
        this.ownsTransaction = ownsTransaction;
    }

    /// <summary>How many statements the caller added.</summary>
    public int Count => batch.BatchCommands.Count - skip;

    public DbBatch Add(string sql, object?[] parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        var command = new NpgsqlBatchCommand(sql);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(parameter as NpgsqlParameter ?? new NpgsqlParameter { Value = parameter ?? DBNull.Value });
        }

        batch.BatchCommands.Add(command);
        return this;
    }

    /// <summary>
    /// Commits without waiting for the disk: what is written survives the death of every process of ours, and of Postgres, but not a
    /// power cut in the next fraction of a second. Only for what can be told again.
    /// </summary>
    public DbBatch Relaxed()
    {
        if (Count > 0 || !ownsTransaction)
        {
            throw new InvalidOperationException("Relaxed comes before the statements of a batch that is its own transaction.");
        }

        batch.BatchCommands.Add(new NpgsqlBatchCommand("select set_config('synchronous_commit', 'off', true)"));
        skip++;
        return this;
    }

    /// <summary>
    /// Has the statements of the transaction find rows by indexes, whatever the planner knows of a table: a plan that was made and kept while the table
    /// was empty reads all of it, for each row of a join, when it has grown.
    /// </summary>
    /// <param name="oneByOne">Also looks up each row of a join by itself: for statements over some ids of a large table, which other joins would read whole.</param>
    public DbBatch ByIndex(bool oneByOne = false)
    {
        if (Count > 0)
        {
            throw new InvalidOperationException("ByIndex comes before the statements of a batch.");
        }

        batch.BatchCommands.Add(new NpgsqlBatchCommand(oneByOne
            ? "select set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"
            : "select set_config('enable_seqscan', 'off', true)"));
        skip++;
        return this;
    }

    /// <summary>
    /// The same, and rows come in the order of an index: <c>where id &gt;= x and id &lt;= x order by id limit 1</c> is then one look by key, where an
    /// equation could be met by another index as well while the table is small, and still would when it has grown.
    /// </summary>
    public DbBatch ByKey()
    {
        ByIndex();
        batch.BatchCommands.Add(new NpgsqlBatchCommand("select set_config('enable_sort', 'off', true)"));
        skip++;
        return this;
    }

    /// <summary>
    /// For a statement that reads and joins thousands of rows of one owner: each table is read once by an index and the smaller one hashed, by this session
    /// alone. Looking each row up costs more than reading it, and workers take longer to start than such rows to read.
    /// </summary>
    public DbBatch InBulk()
    {
        if (Count > 0)
        {
            throw new InvalidOperationException("InBulk comes before the statements of a batch.");
        }

        batch.BatchCommands.Add(new NpgsqlBatchCommand(
            """
            select set_config('enable_seqscan', 'off', true), set_config('enable_nestloop', 'off', true), set_config('enable_mergejoin', 'off', true),
                set_config('max_parallel_workers_per_gather', '0', true), set_config('work_mem', '32MB', true)
            """));
        skip++;
        return this;
    }

    /// <summary>Gives the round trip another limit than <c>Postgres:CommandTimeout</c>: for background work on many rows that must happen together.</summary>
    public DbBatch AllowFor(TimeSpan limit)
    {
        batch.Timeout = Math.Max(batch.Timeout, (int)limit.TotalSeconds);
        return this;
    }

    /// <summary>
    /// Plans each statement once for any parameters instead of for those it has: for statements over arrays, whose planning would cost more than they do.
    /// </summary>
    public DbBatch PlannedOnce()
    {
        if (Count > 0 || !ownsTransaction)
        {
            throw new InvalidOperationException("PlannedOnce comes before the statements of a batch that is its own transaction.");
        }

        batch.BatchCommands.Add(new NpgsqlBatchCommand("select set_config('plan_cache_mode', 'force_generic_plan', true)"));
        skip++;
        return this;
    }

    /// <returns>The number of rows that all statements wrote together.</returns>
    public async Task<int> ExecuteAsync(CancellationToken ct)
    {
        await using (batch)
        {
            var affected = await batch.ExecuteNonQueryAsync(ct);
            return Math.Max(affected, 0);
        }
    }

    /// <summary>Reads results in the order of the statements; <c>NextResultAsync</c> moves to the next statement that returns rows.</summary>
    public async Task<T> ReadAsync<T>(Func<NpgsqlDataReader, CancellationToken, Task<T>> read, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(read);
        await using (batch)
        {
            T result;
            await using (var reader = await batch.ExecuteReaderAsync(ct))
            {
                for (var i = 0; i < skip; i++)
                {
                    await reader.NextResultAsync(ct);
                }

                result = await read(reader, ct);

                // An error in a statement that nobody read would be lost with the reader.
                while (await reader.NextResultAsync(ct))
                {
                }
            }

            return result;
        }
    }

    /// <summary>The rows of the only statement that returns any.</summary>
    public Task<List<T>> ReadAllAsync<T>(Func<NpgsqlDataReader, T> read, CancellationToken ct) =>
        ReadAsync((reader, token) => Rows.ReadAllAsync(reader, read, token), ct);

    internal DbBatch Preamble(string role, Guid? ownerId)
    {
        DbScope.Preamble(batch, role, ownerId);
        skip++;
        return this;
    }
}
