using System.Runtime.CompilerServices;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.ApiService.Tasks;

/// <summary>
/// Files that tasks make, in parts in Postgres: of any size, with a few parts in memory. An attempt that was taken for dead can add nothing to the
/// file of the next one, since each writes under its own fence. Thread-safe.
/// </summary>
internal sealed class TaskFiles(Database database)
{
    public const int PartSize = 256 * 1024;

    private const int PartsPerRoundTrip = 4;

    private const string ForgetSql = "delete from task_files where task_id = $1 and owner_id = $2 and fence < $3";

    private const string AddSql =
        """
        insert into task_files (task_id, fence, part, owner_id, bytes)
        select id, fence, $3, owner_id, $4 from tasks where id = $1 and fence = $2 and owner_id = $5 and status = 'running'
        """;

    private const string EndedSql = "delete from tasks where owner_id = $1 and kind = any($2) and ended_at is not null";

    private const string SizeSql =
        """
        select sum(octet_length(f.bytes))::bigint from tasks t join task_files f on f.task_id = t.id and f.fence = t.fence
        where t.id = $1 and t.owner_id = $2 and f.owner_id = $2 and t.status = 'succeeded'
        """;

    private const string ReadSql =
        """
        select f.bytes from tasks t join task_files f on f.task_id = t.id and f.fence = t.fence
        where t.id = $1 and t.owner_id = $2 and f.owner_id = $2 and f.part >= $3 order by f.part limit $4
        """;

    /// <summary>Takes all that the stream holds.</summary>
    /// <param name="context">The attempt whose file it is.</param>
    /// <param name="content">Read to its end.</param>
    /// <param name="written">Told of the bytes so far, after each round trip.</param>
    /// <param name="ct">Ends the writing; the parts that are there wait for the next attempt, or for the end of the task's time.</param>
    /// <returns>Bytes.</returns>
    /// <exception cref="OperationCanceledException">Another worker has the task by now.</exception>
    public async Task<long> WriteAsync(TaskContext context, Stream content, Func<long, Task> written, CancellationToken ct)
    {
        var owner = database.ForOwner(context.OwnerId);
        await owner.ExecuteAsync(ForgetSql, [context.Id, context.OwnerId, context.Fence], ct);
        var buffer = new byte[PartSize];
        long size = 0;
        for (var part = 0; await content.ReadAtLeastAsync(buffer, PartSize, throwOnEndOfStream: false, ct) is > 0 and var read; part++)
        {
            if (await owner.ExecuteAsync(AddSql, [context.Id, context.Fence, part, new ReadOnlyMemory<byte>(buffer, 0, read), context.OwnerId], ct) == 0)
                throw new OperationCanceledException("Another worker has taken the task.");
            size += read;
            await written(size);
        }

        return size;
    }

    /// <summary>What was exported or imported holds memories in its own words; where they are erased, it goes, too.</summary>
    public Task<int> ForgetMemoriesAsync(Guid ownerId, CancellationToken ct) =>
        database.ForOwner(ownerId).ExecuteAsync(EndedSql, [ownerId, (string[])[TaskKinds.MemoryExport, TaskKinds.MemoryImport]], ct);

    /// <returns>Bytes; null when the task is not the owner's, has not ended well, or made no file.</returns>
    public Task<long?> SizeAsync(Guid ownerId, Guid taskId, CancellationToken ct) => database.ForOwner(ownerId).QuerySingleAsync(
        SizeSql, [taskId, ownerId], reader => reader.IsDBNull(0) ? (long?)null : reader.GetInt64(0), ct);

    public async IAsyncEnumerable<byte[]> ReadAsync(Guid ownerId, Guid taskId, [EnumeratorCancellation] CancellationToken ct)
    {
        for (var part = 0; ; part += PartsPerRoundTrip)
        {
            var parts = await database.ForOwner(ownerId).QueryAsync(ReadSql, [taskId, ownerId, part, PartsPerRoundTrip], reader => (byte[])reader[0], ct);
            foreach (var bytes in parts)
                yield return bytes;
            if (parts.Count < PartsPerRoundTrip)
                yield break;
        }
    }
}
