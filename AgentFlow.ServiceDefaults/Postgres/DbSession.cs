using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>An open transaction of one role and owner. Disposed without <see cref="CommitAsync"/> it is rolled back.</summary>
public sealed class DbSession : IAsyncDisposable
{
    internal DbSession(NpgsqlConnection connection, NpgsqlTransaction transaction)
    {
        Connection = connection;
        Transaction = transaction;
    }

    /// <summary>For COPY; everything else goes through the methods here.</summary>
    public NpgsqlConnection Connection { get; }

    internal NpgsqlTransaction Transaction { get; }

    public Task<int> ExecuteAsync(string sql, object?[] parameters, CancellationToken ct) => CreateBatch().Add(sql, parameters).ExecuteAsync(ct);

    public Task<List<T>> QueryAsync<T>(string sql, object?[] parameters, Func<NpgsqlDataReader, T> read, CancellationToken ct) =>
        CreateBatch().Add(sql, parameters).ReadAsync((reader, token) => Rows.ReadAllAsync(reader, read, token), ct);

    public Task<T?> QuerySingleAsync<T>(string sql, object?[] parameters, Func<NpgsqlDataReader, T> read, CancellationToken ct) =>
        CreateBatch().Add(sql, parameters).ReadAsync(
            async (reader, token) => await reader.ReadAsync(token) ? read(reader) : default, ct);

    public DbBatch CreateBatch() => new(new NpgsqlBatch(Connection, Transaction), ownsTransaction: false);

    public Task CommitAsync(CancellationToken ct) => Transaction.CommitAsync(ct);

    public async ValueTask DisposeAsync()
    {
        await Transaction.DisposeAsync();
        await Connection.DisposeAsync();
    }
}
