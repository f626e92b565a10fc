using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ServiceDefaults.Health;

/// <summary>One trivial statement: without Postgres there is nothing that a service could truthfully answer.</summary>
internal sealed class PostgresCheck(Database database) : IReadinessCheck
{
    public string Name => "postgres";

    public async Task<CheckResult> CheckAsync(CancellationToken ct)
    {
        await database.AsWorker().QuerySingleAsync("select 1", [], reader => reader.GetInt32(0), ct);
        return CheckResult.Ok;
    }
}
