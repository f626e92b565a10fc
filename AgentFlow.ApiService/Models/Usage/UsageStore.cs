using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Models.Usage;

/// <param name="Account">The account's e-mail address.</param>
/// <param name="KeyId">The API key that asked; null for the account's signed-in people.</param>
/// <param name="KeyName">As the account named it.</param>
internal sealed record UsageLine(
    OwnerId OwnerId, string Account, string Model, long Runs, long InputTokens, long OutputTokens, decimal? Cost, ApiKeyId? KeyId = null, string? KeyName = null);

/// <summary>Whom a run's use counts against.</summary>
/// <param name="Account">Who asked; in a room not the owner of the run's rows.</param>
/// <param name="Key">The API key, if one asked.</param>
internal readonly record struct Payer(OwnerId Account, ApiKeyId? Key);

/// <summary>What a call of a model may use at most.</summary>
/// <param name="Cost">At the configured prices; 0 where there are none.</param>
[System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Auto)]
internal readonly record struct Reservation(long Tokens, decimal Cost);

/// <summary>
/// What providers' models used, by run. With a budget, a run reserves before each call of a model what that may use at most, tokens and cost,
/// and settles what it did use; an account's runs reserve one after the other, so parallel runs can not overdraw. A reservation whose
/// process died counts for an hour.
/// </summary>
internal sealed class UsageStore(Database database, IOptions<BudgetOptions> options)
{
    private const string OneAtATime = "select pg_advisory_xact_lock(hashtextextended($1, 30))";

    private const string Reserve = """
        insert into model_usage (run_id, owner_id, model, input_tokens, output_tokens, cost, reserved, reserved_cost, key_id)
        select $1, $2, $3, $4, $5, $6::numeric, $7, $8::numeric, $11::uuid
        where (select coalesce(sum(input_tokens + output_tokens + case when is_open then reserved else 0 end), 0) + $4 + $5 + $7 <= $9
                  and coalesce(sum(coalesce(cost, 0) + case when is_open then reserved_cost else 0 end), 0) + coalesce($6::numeric, 0) + $8::numeric <= $10
                  and coalesce(sum(cost), 0) + coalesce($6::numeric, 0) < $10
               from (select *, settled_at is null and created_at > now() - interval '1 hour' as is_open from model_usage
                     where owner_id = $2 and run_id <> $1 and created_at > now() - interval '1 day') others)
        on conflict (run_id) do update set
            input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, cost = excluded.cost,
            reserved = excluded.reserved, reserved_cost = excluded.reserved_cost, settled_at = null
        """;

    private const string Settle = """
        insert into model_usage (run_id, owner_id, model, input_tokens, output_tokens, cost, settled_at, key_id) values ($1, $2, $3, $4, $5, $6::numeric, now(), $7::uuid)
        on conflict (run_id) do update set
            input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, cost = excluded.cost, reserved = 0, reserved_cost = 0, settled_at = now()
        """;

    private const string List = """
        select u.owner_id, a.email, u.model, count(*), sum(u.input_tokens)::bigint, sum(u.output_tokens)::bigint, sum(u.cost), u.key_id, k.name
        from model_usage u join users a on a.owner_id = u.owner_id left join api_keys k on k.id = u.key_id
        where u.created_at > now() - $1 and u.settled_at is not null
        group by 1, 2, 3, u.key_id, k.name order by sum(u.input_tokens + u.output_tokens) desc limit 1000
        """;

    public bool HasBudget => options.Value is not { TokensPerDay: null, CostPerDay: null };

    /// <param name="payer">Whose budget it is.</param>
    /// <param name="run">A later reservation of the same run takes the place of the one before.</param>
    /// <param name="model">As it is listed.</param>
    /// <param name="used">By the run so far.</param>
    /// <param name="next">By the call that is to be made.</param>
    /// <param name="ct">Ends the attempt.</param>
    /// <returns>False: the account's budget does not hold that much any more.</returns>
    public async Task<bool> TryReserveAsync(Payer payer, RunId run, string model, UsageReported used, Reservation next, CancellationToken ct)
    {
        if (!HasBudget)
            return true;
        var limits = options.Value;
        var owner = payer.Account;
        return await database.ForOwner(owner.Value).CreateBatch()
            .Add(OneAtATime, [owner.ToString()])
            .Add(Reserve, [
                run.Value, owner.Value, model, used.InputTokens, used.OutputTokens, used.Cost, next.Tokens, next.Cost,
                limits.TokensPerDay ?? long.MaxValue, limits.CostPerDay ?? decimal.MaxValue, payer.Key?.Value,
            ])
            .ExecuteAsync(ct) == 1;
    }

    public Task SettleAsync(Payer payer, RunId run, string model, long inputTokens, long outputTokens, decimal? cost, CancellationToken ct) =>
        SettleIn(database.ForOwner(payer.Account.Value).CreateBatch(), payer, run, model, inputTokens, outputTokens, cost).ExecuteAsync(ct);

    /// <summary>The same as a part of a transaction of the account, or of a worker.</summary>
    public static DbBatch SettleIn(DbBatch batch, Payer payer, RunId run, string model, long inputTokens, long outputTokens, decimal? cost) =>
        batch.Add(Settle, [run.Value, payer.Account.Value, model, inputTokens, outputTokens, cost, payer.Key?.Value]);

    /// <summary>All accounts' use by model, the largest first.</summary>
    public Task<List<UsageLine>> ListAsync(TimeSpan period, CancellationToken ct) => database.AsWorker().QueryAsync(
        List,
        [period],
        row => new UsageLine(
            new OwnerId(row.GetGuid(0)), row.GetString(1), row.GetString(2), row.GetInt64(3), row.GetInt64(4), row.GetInt64(5), row.IsDBNull(6) ? null : row.GetDecimal(6),
            row.NullableGuid(7) is { } key ? new ApiKeyId(key) : null, row.NullableString(8)),
        ct);
}
