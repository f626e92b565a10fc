using AgentFlow.ApiService.Account;
using AgentFlow.ApiService.Edges;
using AgentFlow.ApiService.Identity;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Admin;
using AgentFlow.ServiceDefaults.Health;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Queue;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Admin;

/// <summary><c>/api/admin</c>: accounts, invites, the audit log and how the service is. Administrators only.</summary>
internal static class AdminEndpoints
{
    private const int PageLimit = 200;

    public static WebApplicationBuilder AddAdmin(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<AdminStore>();
        builder.Services.AddSingleton<AccountExport>();
        builder.Services.AddTaskHandler<EraseAccountTask>();
        builder.Services.AddHttpClient(EraseAccountTask.ClientName, (provider, client) =>
        {
            client.BaseAddress = provider.GetRequiredService<ServiceAddresses>().Of("memory");
            client.Timeout = TimeSpan.FromMinutes(1);
        });
        return builder;
    }

    public static WebApplication MapAdmin(this WebApplication app)
    {
        var admin = app.MapGroup("/api/admin").WithTags("Admin").RequireAuthorization(Policies.Admin);
        admin.MapGet("/users", ListUsersAsync).WithName("ListUsers").WithSummary("All accounts, newest first");
        admin.MapGet("/users/{id}", GetUserAsync).WithName("GetUser").WithSummary("One account");
        admin.MapPatch("/users/{id}", PatchUserAsync).WithName("PatchUser").WithSummary("Disable, enable, rename, or change the role");
        admin.MapDelete("/users/{id}", DeleteUserAsync).WithName("DeleteUser").WithSummary("Close an account at once and erase all that it has");
        admin.MapPost("/users/{id}/reset-password", ResetPasswordAsync).WithName("ResetPassword").WithSummary("Set a random password, shown this once; every sign-in ends");
        admin.MapGet("/invites", ListInvitesAsync).WithName("ListInvites").WithSummary("The newest 500 invites");
        admin.MapPost("/invites", CreateInviteAsync).WithName("CreateInvite").WithSummary("Make an invite; its token is shown this once");
        admin.MapDelete("/invites/{id:guid}", DeleteInviteAsync).WithName("DeleteInvite").WithSummary("Take an unused invite back");
        admin.MapGet("/stats", StatsAsync).WithName("GetStats").WithSummary("How much there is");
        admin.MapGet("/activity", ActivityAsync).WithName("GetActivity").WithSummary("Runs, errors, latency, tokens and cost of each of the last days (1 to 366, 14 if absent)");
        admin.MapGet("/audit", AuditAsync).WithName("ListAudit").WithSummary("Security events, newest first");
        admin.MapGet("/health", HealthAsync).WithName("GetAdminHealth").WithSummary("Each dependency with its state");
        admin.MapGet("/configuration", Configuration).WithName("GetConfiguration").WithSummary("The settings in use, secrets hidden");
        return app;
    }

    private static async Task<Results<Ok<Page<AdminUser>>, ProblemHttpResult>> ListUsersAsync(
        AdminStore store, CancellationToken ct, string? q = null, int limit = 50, string? cursor = null)
    {
        (DateTimeOffset, Guid)? after = null;
        if (limit is < 1 or > PageLimit || q?.Length > 100)
        {
            return Problem.Invalid("limit", $"limit is 1 to {PageLimit}, q has at most 100 characters.");
        }

        if (cursor is not null && !TimeCursor.TryParse(cursor, out after))
        {
            return Problem.Invalid("cursor", "This is no cursor of this list.");
        }

        return TypedResults.Ok(TimeCursor.Page(await store.ListAsync(q, limit + 1, after, ct), limit, user => (user.CreatedAt, user.Id.Value)));
    }

    private static async Task<Results<Ok<AdminUser>, ProblemHttpResult>> GetUserAsync(OwnerId id, AdminStore store, CancellationToken ct) =>
        await store.FindAsync(id, ct) is { } user ? TypedResults.Ok(user) : Problem.NotFound("account");

    private static async Task<Results<Ok<AdminUser>, ProblemHttpResult>> PatchUserAsync(
        OwnerId id, AdminUserPatch patch, Caller caller, AdminStore store, AccessStates states, HttpContext context, CancellationToken ct)
    {
        if (patch.DisplayName is { } name && Registration.DisplayNameProblem(name) is { } problem)
        {
            return Problem.Invalid("displayName", problem);
        }

        if (Refuse(await store.PatchAsync(id, patch, caller.Owner, ClientAddress.Of(context), ct)) is { } refusal)
        {
            return refusal;
        }

        states.Forget();
        return await GetUserAsync(id, store, ct);
    }

    private static async Task<Results<Accepted, ProblemHttpResult>> DeleteUserAsync(
        OwnerId id, Caller caller, AdminStore store, AccessStates states, HttpContext context, CancellationToken ct)
    {
        var (refused, task) = await store.DeleteAsync(id, caller.Owner, ClientAddress.Of(context), ct);
        if (Refuse(refused) is { } refusal)
        {
            return refusal;
        }

        states.Forget();
        return TypedResults.Accepted($"/api/tasks/{task}");
    }

    private static async Task<Results<Ok<PasswordReset>, ProblemHttpResult>> ResetPasswordAsync(
        OwnerId id, Caller caller, AdminStore store, PasswordResets resets, AccessStates states, HttpContext context, CancellationToken ct)
    {
        if (await store.FindAsync(id, ct) is null)
        {
            return Problem.NotFound("account");
        }

        var password = await resets.ResetAsync(id, caller.Owner, ClientAddress.Of(context), ct);
        states.Forget();
        return TypedResults.Ok(new PasswordReset(password));
    }

    private static async Task<Ok<Page<Invite>>> ListInvitesAsync(AdminStore store, CancellationToken ct) =>
        TypedResults.Ok(new Page<Invite>(await store.ListInvitesAsync(ct)));

    private static async Task<Results<Created<InviteCreated>, ProblemHttpResult>> CreateInviteAsync(
        InviteRequest request, Caller caller, AdminStore store, IOptions<IdentityOptions> options, HttpContext context, CancellationToken ct)
    {
        string? email = null;
        if (request.Email is { } given && !EmailAddress.TryNormalize(given, out email))
        {
            return Problem.Invalid("email", "This is not an e-mail address.");
        }

        var token = Secrets.New(Secrets.InvitePrefix);
        var invite = await store.CreateInviteAsync(
            caller.Owner, email, AccountStore.Write(request.Role), Secrets.Hash(token), options.Value.InviteLifetime, ClientAddress.Of(context), ct);
        return TypedResults.Created($"/api/admin/invites/{invite!.Id}", new InviteCreated(invite, token));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteInviteAsync(Guid id, Caller caller, AdminStore store, HttpContext context, CancellationToken ct) =>
        await store.DeleteInviteAsync(id, caller.Owner, ClientAddress.Of(context), ct) ? TypedResults.NoContent() : Problem.NotFound("unused invite");

    private static async Task<Ok<AdminStats>> StatsAsync(AdminStore store, CancellationToken ct) => TypedResults.Ok(await store.StatsAsync(ct));

    private static async Task<Results<Ok<Page<ActivityDay>>, ProblemHttpResult>> ActivityAsync(AdminStore store, CancellationToken ct, int days = 14) =>
        days is < 1 or > 366
            ? Problem.Invalid("days", "days is 1 to 366.")
            : TypedResults.Ok(new Page<ActivityDay>(await store.ActivityAsync(days, ct)));

    private static async Task<Results<Ok<Page<AuditEntry>>, ProblemHttpResult>> AuditAsync(
        AdminStore store, CancellationToken ct, OwnerId? userId = null, string? action = null, int limit = 100, long? cursor = null)
    {
        if (limit is < 1 or > PageLimit || action?.Length > 100)
        {
            return Problem.Invalid("limit", $"limit is 1 to {PageLimit}, action has at most 100 characters.");
        }

        var entries = await store.AuditAsync(userId?.Value, action, limit + 1, cursor, ct);
        return TypedResults.Ok(entries.Count <= limit
            ? new Page<AuditEntry>(entries)
            : new Page<AuditEntry>(entries.GetRange(0, limit), entries[limit - 1].Id.ToString(System.Globalization.CultureInfo.InvariantCulture)));
    }

    private static async Task<Ok<ReadinessReport>> HealthAsync(Readiness readiness, CancellationToken ct) => TypedResults.Ok(await readiness.ReportAsync(ct));

    private static Ok<Page<Setting>> Configuration(IConfiguration configuration) => TypedResults.Ok(new Page<Setting>(SettingsInUse.Of(configuration)));

    internal static ProblemHttpResult? Refuse(AdminRefusal refusal) => refusal switch
    {
        AdminRefusal.NotFound => Problem.NotFound("account"),
        AdminRefusal.LastAdministrator => Problem.Result(StatusCodes.Status409Conflict, "last_administrator", "This is the only administrator. Make another one first."),
        _ => null,
    };
}
