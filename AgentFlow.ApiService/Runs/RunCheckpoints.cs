using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// Where runs stand that wait: for a person, or for their turn. Such a run outlives its process: whoever adopts it goes on from here
/// instead of closing it.
/// </summary>
internal sealed class RunCheckpoints(Database database)
{
    private const string Upsert = """
        insert into run_checkpoints (run_id, owner_id, context, turn) values ($1, $2, $3::json, $4::json)
        on conflict (run_id) do update set context = excluded.context, turn = excluded.turn
        """;

    /// <summary>A run that has not begun, in the transaction that creates it.</summary>
    public static void AddUnbegun(DbBatch batch, RunContext run) =>
        batch.Add(Upsert, [run.RunId.Value, run.OwnerId.Value, JsonSerializer.Serialize(run with { History = [] }, ContractJson.Options), "null"]);

    /// <param name="run">As it was started.</param>
    /// <param name="turn">The agent's own account; nobody else reads it.</param>
    /// <param name="ct">Ends the attempt.</param>
    public Task SaveAsync(RunContext run, JsonElement turn, CancellationToken ct) => database.ForOwner(run.OwnerId.Value).ExecuteAsync(
        Upsert, [run.RunId.Value, run.OwnerId.Value, JsonSerializer.Serialize(run with { Checkpoint = null }, ContractJson.Options), turn.GetRawText()], ct);

    /// <summary>The run as it was started. Its checkpoint is null when it had not begun.</summary>
    public Task<RunContext?> FindAsync(OwnerId owner, RunId run, CancellationToken ct) => database.ForOwner(owner.Value).QuerySingleAsync(
        "select context, turn from run_checkpoints where run_id = $1",
        [run.Value],
        reader => JsonSerializer.Deserialize<RunContext>(reader.GetString(0), ContractJson.Options)! with { Checkpoint = reader.Json(1) is { ValueKind: not JsonValueKind.Null } turn ? turn : null },
        ct);
}
