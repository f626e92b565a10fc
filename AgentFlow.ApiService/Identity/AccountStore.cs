using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Identity;

/// <param name="KnowsAddress">Somebody signed in to this account from there before: not throttled for what others try.</param>
internal sealed record SignInAccount(UserProfile Profile, string PasswordHash, bool Disabled, bool KnowsAddress);

/// <summary>How a new account comes about.</summary>
internal enum Admission
{
    /// <summary>The very first; an administrator.</summary>
    First,
    Invited,
    Open,
}

internal enum AccountRefusal
{
    None,
    EmailTaken,
    NotFirst,
    InviteUnusable,
}

/// <summary>Accounts. What happens before a caller is known, and what touches roles or passwords, runs as the worker.</summary>
internal sealed class AccountStore(Database database)
{
    /// <summary>Serializes first accounts, so that two requests at once do not make two administrators.</summary>
    private const long FirstAccountLock = 0x61666669727374;

    private const string ProfileColumns = "owner_id, email, display_name, role, default_agent, created_at";

    public Task<bool> AnyAsync(CancellationToken ct) =>
        database.AsWorker().QuerySingleAsync("select exists (select from users)", [], reader => reader.GetBoolean(0), ct);

    public Task<SignInAccount?> FindForSignInAsync(string email, string? address, CancellationToken ct) => database.AsWorker().QuerySingleAsync(
        $"""
        select {ProfileColumns}, password_hash, disabled_at is not null,
               exists (select from refresh_families f where f.owner_id = users.owner_id and f.address = $2::text and f.created_at > now() - interval '30 days')
        from users where email = $1
        """,
        [email, address],
        reader => new SignInAccount(ReadProfile(reader), reader.GetString(6), reader.GetBoolean(7), reader.GetBoolean(8)),
        ct);

    public Task<string?> FindPasswordHashAsync(OwnerId owner, CancellationToken ct) =>
        database.AsWorker().QuerySingleAsync("select password_hash from users where owner_id = $1", [owner.Value], reader => reader.GetString(0), ct);

    public Task<UserProfile?> FindAsync(OwnerId owner, CancellationToken ct) => database.ForOwner(owner.Value).QuerySingleAsync(
        $"select {ProfileColumns} from users where owner_id = $1", [owner.Value], ReadProfile, ct);

    public Task<UserProfile?> UpdateAsync(OwnerId owner, ProfilePatch patch, CancellationToken ct) => database.ForOwner(owner.Value).QuerySingleAsync(
        $"""
        update users set display_name = coalesce($2::text, display_name), default_agent = coalesce($3::text, default_agent), updated_at = now()
        where owner_id = $1
        returning {ProfileColumns}
        """,
        [owner.Value, patch.DisplayName, patch.DefaultAgent], ReadProfile, ct);

    /// <summary>Makes the account if its way in is still open by then; decides, consumes the invite and writes in one transaction.</summary>
    public async Task<(UserProfile? Profile, AccountRefusal Refusal)> CreateAsync(
        Admission admission, string email, string displayName, string passwordHash, byte[]? inviteHash, string? address, CancellationToken ct)
    {
        await using var session = await database.AsWorker().BeginAsync(ct);
        var role = UserRole.User;
        if (admission is Admission.First)
        {
            await session.ExecuteAsync("select pg_advisory_xact_lock($1)", [FirstAccountLock], ct);
            if (await session.QuerySingleAsync("select exists (select from users)", [], reader => reader.GetBoolean(0), ct))
            {
                return (null, AccountRefusal.NotFirst);
            }

            role = UserRole.Admin;
        }

        var owner = OwnerId.New();
        if (admission is Admission.Invited)
        {
            var granted = await session.QuerySingleAsync(ConsumeInvite, [inviteHash, owner.Value, email], reader => reader.GetString(0), ct);
            if (granted is null)
            {
                return (null, AccountRefusal.InviteUnusable);
            }

            role = ReadRole(granted);
        }

        try
        {
            var profile = await session.QuerySingleAsync(
                $"insert into users (owner_id, email, display_name, password_hash, role) values ($1, $2, $3, $4, $5) returning {ProfileColumns}",
                [owner.Value, email, displayName, passwordHash, Write(role)], ReadProfile, ct);
            await session.CreateBatch().Audit(AuditActions.Registered, owner, owner, address, new { admission = Word(admission) }).ExecuteAsync(ct);
            await session.CommitAsync(ct);
            return (profile, AccountRefusal.None);
        }
        catch (PostgresException error) when (error is { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "users_email_key" })
        {
            return (null, AccountRefusal.EmailTaken);
        }
    }

    public Task<bool> IsInviteUsableAsync(byte[] inviteHash, string email, CancellationToken ct) => database.AsWorker().QuerySingleAsync(
        "select exists (select from invites where token_hash = $1 and used_at is null and expires_at > now() and (email is null or email = $2))",
        [inviteHash, email], reader => reader.GetBoolean(0), ct);

    /// <summary>Sets a password and ends every sign-in but one. The audit says who did it.</summary>
    public Task SetPasswordAsync(OwnerId owner, string passwordHash, Guid? keepSession, OwnerId? actor, string action, string? address, CancellationToken ct) =>
        database.AsWorker().CreateBatch()
            .Add("update users set password_hash = $2, updated_at = now() where owner_id = $1", [owner.Value, passwordHash])
            .Add(SessionStore.RevokeAll, [owner.Value, keepSession, "password"])
            .Audit(action, owner, actor, address)
            .ExecuteAsync(ct);

    /// <summary>Same password, more rounds; sign-ins stay.</summary>
    public Task RehashAsync(OwnerId owner, string oldHash, string newHash, CancellationToken ct) => database.AsWorker().ExecuteAsync(
        "update users set password_hash = $3 where owner_id = $1 and password_hash = $2", [owner.Value, oldHash, newHash], ct);

    public static string Write(UserRole role) => role is UserRole.Admin ? "admin" : "user";

    public static UserRole ReadRole(string word) => word == "admin" ? UserRole.Admin : UserRole.User;

    /// <summary>Reads the first six columns of <see cref="ProfileColumns"/>.</summary>
    public static UserProfile ReadProfile(NpgsqlDataReader reader) => new()
    {
        Id = new OwnerId(reader.GetGuid(0)),
        Email = reader.GetString(1),
        DisplayName = reader.GetString(2),
        Role = ReadRole(reader.GetString(3)),
        DefaultAgent = reader.NullableString(4),
        CreatedAt = reader.Time(5),
    };

    private const string ConsumeInvite =
        """
        update invites set used_at = now(), used_by = $2
        where token_hash = $1 and used_at is null and expires_at > now() and (email is null or email = $3)
        returning role
        """;

    private static string Word(Admission admission) => admission switch
    {
        Admission.First => "first",
        Admission.Invited => "invite",
        _ => "open",
    };
}
