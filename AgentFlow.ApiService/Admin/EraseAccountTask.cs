using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using AgentFlow.ApiService.Rooms;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.ServiceDefaults.Tokens;
using Npgsql;

namespace AgentFlow.ApiService.Admin;

/// <summary>
/// Erases what an account has: its part in rooms and in the collections of others, its memories, then its rows in every table that has an owner, then the account. Finds the tables in the
/// catalogue, so that none made later is forgotten. Repeatable: what is gone stays gone. The audit log stays.
/// </summary>
internal sealed class EraseAccountTask(Database database, RoomErasure rooms, IHttpClientFactory clients, InternalTokens tokens) : ITaskHandler
{
    public const string TaskKind = "account.erase";

    /// <summary>A table may wait for those that point to it; more levels than this do not exist.</summary>
    private const int MaxPasses = 10;

    /// <summary>An account may have any number of rows; each round trip takes some of them.</summary>
    private const int RowsAtOnce = 1_000;

    public string Kind => TaskKind;

    public static QueuedTask For(OwnerId owner) => new(owner.Value, TaskKind, JsonSerializer.SerializeToElement(new { })) { DedupKey = "erase", MaxAttempts = 20 };

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(context);
        await rooms.LeaveAllAsync(new(context.OwnerId), ct);
        var memories = await EraseMemoriesAsync(context.OwnerId, ct);
        await context.ReportAsync(0.3, "memories erased", ct);
        var tables = await database.AsWorker().QueryAsync(
            TablesWithOwner, [database.Schema], reader => (Name: reader.GetString(0), ByWorker: reader.GetBoolean(1)), ct);
        var erased = await EraseTablesAsync(context.OwnerId, tables, ct);
        await database.AsWorker().CreateBatch()
            .Add("delete from tasks where owner_id = $1 and id <> $2", [context.OwnerId, context.Id])
            .Add("delete from collection_members where member_id = $1", [context.OwnerId])
            .Add("update documents set uploaded_by = $2 where uploaded_by = $1", [context.OwnerId, Guid.Empty])
            .Add("delete from users where owner_id = $1", [context.OwnerId])
            .ExecuteAsync(ct);
        return JsonSerializer.SerializeToElement(new { rows = erased, memories });
    }

    /// <returns>Memories that are gone, from every place; null where the memory service knows no such subject.</returns>
    private async Task<long?> EraseMemoriesAsync(Guid owner, CancellationToken ct)
    {
        using var client = clients.CreateClient(ClientName);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/subjects/erase") { Content = JsonContent.Create(new { userId = owner }) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", tokens.Issue(owner, ["memory.read", "memory.write"]));
        using var response = await client.SendAsync(request, ct);
        if (response.StatusCode is HttpStatusCode.NotFound)
        {
            return null;
        }

        response.EnsureSuccessStatusCode();
        var receipt = await response.Content.ReadFromJsonAsync<ErasureReceipt>(ContractJson.Lenient, ct);
        return receipt is { Complete: true }
            ? receipt.Removed.GetValueOrDefault("memories")
            : throw new InvalidOperationException("The memory service has not erased everything yet.");
    }

    public const string ClientName = "account erasure";

    private async Task<long> EraseTablesAsync(Guid owner, List<(string Name, bool ByWorker)> tables, CancellationToken ct)
    {
        var erased = 0L;
        for (var pass = 0; tables.Count > 0; pass++)
        {
            var waiting = new List<(string, bool)>();
            foreach (var table in tables)
            {
                try
                {
                    var scope = table.ByWorker ? database.AsWorker() : database.ForOwner(owner);
                    int rows;
                    do
                    {
                        rows = await scope.ExecuteAsync(
                            $"delete from {table.Name} where owner_id = $1 and ctid = any (array(select ctid from {table.Name} where owner_id = $1 limit $2))", [owner, RowsAtOnce], ct);
                        erased += rows;
                    }
                    while (rows > 0);
                }
                catch (PostgresException error) when (error.SqlState is PostgresErrorCodes.ForeignKeyViolation && pass < MaxPasses)
                {
                    waiting.Add(table);
                }
            }

            tables = waiting;
        }

        return erased;
    }

    /// <summary>
    /// Quoted names, those first that no other table points to, so that few rows go by cascade; the account's own row and this task go last, and not
    /// from here.
    /// </summary>
    private const string TablesWithOwner =
        """
        select format('%I.%I', n.nspname, c.relname), not has_table_privilege('agentflow_app', c.oid, 'delete')
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'owner_id' and not a.attisdropped
        where n.nspname = $1 and c.relkind in ('r', 'p') and not c.relispartition and c.relname not in ('users', 'tasks')
          and (has_table_privilege('agentflow_app', c.oid, 'delete') or has_table_privilege('agentflow_worker', c.oid, 'delete'))
        order by (select count(*) from pg_constraint f where f.contype = 'f' and f.confrelid = c.oid and f.conrelid <> c.oid), c.relname
        """;
}
