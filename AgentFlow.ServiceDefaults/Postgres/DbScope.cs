using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>
/// A role and, where it is bound by row-level security, an owner. Each call is one round trip and one transaction; cheap to create.
/// Statements take <c>$1</c> parameters; a null needs a cast in the SQL (<c>$2::text</c>).
/// </summary>
public sealed class DbScope
{
    private readonly NpgsqlDataSource source;
    private readonly string role;
    private readonly Guid? ownerId;

    internal DbScope(NpgsqlDataSource source, string role, Guid? ownerId)
    {
        this.source = source;
        this.role = role;
        this.ownerId = ownerId;
    }

    /// <returns>The number of rows that were written.</returns>
    public Task<int> ExecuteAsync(string sql, object?[] parameters, CancellationToken ct) =>
        CreateBatch().Add(sql, parameters).ExecuteAsync(ct);

    public Task<List<T>> QueryAsync<T>(string sql, object?[] parameters, Func<NpgsqlDataReader, T> read, CancellationToken ct) =>
        CreateBatch().Add(sql, parameters).ReadAllAsync(read, ct);

    /// <returns>The first row, or the type's default when there is none.</returns>
    public Task<T?> QuerySingleAsync<T>(string sql, object?[] parameters, Func<NpgsqlDataReader, T> read, CancellationToken ct) =>
        CreateBatch().Add(sql, parameters).ReadAsync(
            async (reader, token) => await reader.ReadAsync(token) ? read(reader) : default, ct);

    /// <summary>Several statements, still one round trip and one transaction.</summary>
    public DbBatch CreateBatch() => new DbBatch(source.CreateBatch(), ownsTransaction: true).Preamble(role, ownerId);

    /// <summary>A transaction that must decide between its statements; costs a round trip for each, so prefer a batch.</summary>
    public async Task<DbSession> BeginAsync(CancellationToken ct)
    {
        var connection = await source.OpenConnectionAsync(ct);
        try
        {
            // BEGIN is sent together with the first statement.
            var transaction = await connection.BeginTransactionAsync(ct);
            await using var batch = new NpgsqlBatch(connection, transaction);
            Preamble(batch, role, ownerId);
            await batch.ExecuteNonQueryAsync(ct);
            return new DbSession(connection, transaction);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    internal static void Preamble(NpgsqlBatch batch, string role, Guid? ownerId)
    {
        var command = new NpgsqlBatchCommand("select set_config('role', $1, true), set_config('app.owner_id', $2, true)");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = role });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = ownerId?.ToString("D") ?? string.Empty });
        batch.BatchCommands.Add(command);
    }
}
