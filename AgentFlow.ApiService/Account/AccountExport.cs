using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using AgentFlow.ApiService.Admin;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Tokens;
using Npgsql;

namespace AgentFlow.ApiService.Account;

/// <summary>
/// Writes everything that is kept about an account as JSON, row by row, without holding it in memory. Finds the tables in the catalogue, as
/// erasure does, so that none made later is forgotten; reads as the owner, under row-level security. Hashes, vectors and the bytes of
/// uploads are left out: the last are downloads of their own.
/// </summary>
/// <remarks><code>{"format":"agentflow.account/1","exportedAt":"2026-11-21T04:00:00Z","tables":{"conversations":[{"id":"..."}]},"memories":{...}}</code></remarks>
internal sealed class AccountExport(Database database, IHttpClientFactory clients, InternalTokens tokens, TimeProvider time)
{
    public const string Format = "agentflow.account/1";

    /// <summary>Names and columns that the application may read; what holds no words of a person, and stored answers, which repeat what is here.</summary>
    private const string ReadableColumns =
        """
        select c.relname, string_agg(format('%I', a.attname), ',' order by a.attnum)
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        join pg_type t on t.oid = a.atttypid
        where n.nspname = $1 and c.relkind in ('r', 'p') and not c.relispartition and c.relname not in ('idempotency_keys', 'index_outbox', 'tasks', 'task_files', 'document_remains', 'document_touches')
          and t.typname not in ('bytea', '_float4', '_float8', 'vector', 'tsvector') and has_column_privilege('agentflow_app', c.oid, a.attnum, 'select')
          and exists (select from pg_attribute o where o.attrelid = c.oid and o.attname = 'owner_id' and not o.attisdropped and has_column_privilege('agentflow_app', c.oid, o.attnum, 'select'))
        group by c.relname order by c.relname
        """;

    /// <exception cref="ProblemException">503 while the memory service does not answer: half an export would look like a whole one.</exception>
    public async Task WriteAsync(OwnerId owner, HttpResponse response, CancellationToken ct)
    {
        using var memories = await OpenMemoriesAsync(owner, ct);
        var tables = await database.AsWorker().QueryAsync(ReadableColumns, [database.Schema], reader => (Name: reader.GetString(0), Columns: reader.GetString(1)), ct);
        response.ContentType = "application/json; charset=utf-8";
        response.Headers.ContentDisposition = "attachment; filename=\"agentflow-account.json\"";
        response.Headers.CacheControl = "no-store";
        await WriteAsync(response, $$"""{"format":"{{Format}}","exportedAt":{{JsonSerializer.Serialize(time.GetUtcNow(), ContractJson.Options)}},"tables":{""", ct);
        for (var i = 0; i < tables.Count; i++)
        {
            await WriteAsync(response, $"{(i > 0 ? "," : "")}\"{tables[i].Name}\":[", ct);
            await database.ForOwner(owner.Value).CreateBatch()
                .Add($"select row_to_json(t)::text from (select {tables[i].Columns} from {database.Schema}.\"{tables[i].Name}\" where owner_id = $1) t", [owner.Value])
                .ReadAsync((reader, token) => WriteRowsAsync(response, reader, token), ct);
            await WriteAsync(response, "]", ct);
        }

        await WriteAsync(response, "},\"memories\":", ct);
        await using (var body = await memories.Content.ReadAsStreamAsync(ct))
        {
            await body.CopyToAsync(response.Body, ct);
        }

        await WriteAsync(response, "}", ct);
    }

    private static async Task<bool> WriteRowsAsync(HttpResponse response, NpgsqlDataReader reader, CancellationToken ct)
    {
        for (var isFirst = true; await reader.ReadAsync(ct); isFirst = false)
        {
            await WriteAsync(response, (isFirst ? "" : ",") + reader.GetString(0), ct);
        }

        return true;
    }

    private static async Task WriteAsync(HttpResponse response, string text, CancellationToken ct) =>
        await response.BodyWriter.WriteAsync(Encoding.UTF8.GetBytes(text), ct);

    private async Task<HttpResponseMessage> OpenMemoriesAsync(OwnerId owner, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/export") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", tokens.Issue(owner.Value, ["memory.read"]));
        try
        {
            var response = await clients.CreateClient(EraseAccountTask.ClientName).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            if (response.IsSuccessStatusCode)
            {
                return response;
            }

            response.Dispose();
        }
        catch (Exception fault) when (fault is HttpRequestException || (fault is OperationCanceledException && !ct.IsCancellationRequested))
        {
            // The same answer as for a refusal.
        }

        throw new ProblemException(StatusCodes.Status503ServiceUnavailable, "memory_unavailable", "The memory service does not answer, and an export without memories would be half of one.")
        {
            RetryAfter = TimeSpan.FromSeconds(5),
        };
    }
}
