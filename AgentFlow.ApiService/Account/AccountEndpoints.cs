using AgentFlow.ApiService.Admin;
using AgentFlow.ApiService.Edges;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.ApiService.Account;

/// <summary>What a person may ask of their own account: a copy of everything, and the end of it.</summary>
internal static class AccountEndpoints
{
    public static WebApplication MapAccount(this WebApplication app)
    {
        var account = app.MapGroup("/api/auth").WithTags("Auth").RequireAuthorization(Policies.Session);
        account.MapGet("/me/export", ExportAsync).Streams().LimitAs(LimitKind.Upload).WithName("ExportAccount").Produces(StatusCodes.Status200OK, contentType: "application/json")
            .WithSummary("Everything that is kept about the account, as one JSON file").ProducesProblem(StatusCodes.Status503ServiceUnavailable);
        account.MapPost("/me/erase", EraseAsync).WithName("EraseAccount").WithSummary("Close the own account at once and erase all that it has; asks for the password");
        app.MapGet("/api/auth/erasures/{id}", ReceiptAsync).WithTags("Auth").RequireAuthorization(Policies.Anonymous).WithName("GetErasure")
            .WithSummary("How far an erasure is, for whoever holds its number");
        return app;
    }

    private static async Task ExportAsync(Caller caller, AccountExport export, Database database, HttpContext context, CancellationToken ct)
    {
        await AuditLog.WriteAsync(database, AuditActions.AccountExported, caller.Owner, caller.Owner, ClientAddress.Of(context), ct);
        await export.WriteAsync(caller.Owner, context.Response, ct);
    }

    private static async Task<Results<Accepted<AccountErasureReceipt>, ProblemHttpResult>> EraseAsync(
        AccountErasureRequest request, Caller caller, SignIn signIn, AdminStore store, AccessStates states, TimeProvider time, HttpContext context, CancellationToken ct)
    {
        var address = ClientAddress.Of(context);
        if (await signIn.ConfirmAsync(caller.Owner, request.Password, address, ct) is { } wrong)
        {
            return wrong;
        }

        var (refusal, task) = await store.DeleteAsync(caller.Owner, caller.Owner, address, ct);
        if (AdminEndpoints.Refuse(refusal) is { } refused)
        {
            return refused;
        }

        states.Forget();
        return TypedResults.Accepted($"/api/auth/erasures/{task}", new AccountErasureReceipt(task, "queued", time.GetUtcNow()));
    }

    private static async Task<Results<Ok<AccountErasureReceipt>, ProblemHttpResult>> ReceiptAsync(Guid id, Database database, CancellationToken ct) =>
        await database.AsWorker().QuerySingleAsync(
            """
            select id, status, created_at, ended_at, (result->>'rows')::bigint, (result->>'memories')::bigint from tasks where id = $1 and kind = $2
            """,
            [id, EraseAccountTask.TaskKind],
            reader => new AccountErasureReceipt(
                reader.GetGuid(0), reader.GetString(1), reader.Time(2), reader.NullableTime(3), reader.IsDBNull(4) ? null : reader.GetInt64(4), reader.IsDBNull(5) ? null : reader.GetInt64(5)),
            ct) is { } receipt ? TypedResults.Ok(receipt) : Problem.NotFound("erasure");
}
