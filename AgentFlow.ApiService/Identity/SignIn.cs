using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Tokens;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Identity;

/// <summary>From a password or refresh token to a pair of tokens.</summary>
internal sealed class SignIn(
    AccountStore accounts, SessionStore sessions, Passwords passwords, SignInThrottle throttle, AccessStates states, JwtCodec codec, Database database, IOptions<IdentityOptions> options)
{
    /// <summary>An unknown account costs what a known one costs and reads the same; a disabled one is told so only by its right password.</summary>
    public async Task<(TokenResponse? Tokens, ProblemHttpResult? Refusal)> WithPasswordAsync(LoginRequest request, string address, CancellationToken ct)
    {
        if (Encoding.UTF8.GetByteCount(request.Password) > Passwords.MaxBytes)
        {
            return (null, Problem.Invalid("password", $"A password has at most {Passwords.MaxBytes} bytes."));
        }

        if (!EmailAddress.TryNormalize(request.Email, out var email))
        {
            return (null, Problem.Invalid("email", "This is not an e-mail address."));
        }

        throttle.Enter(email, address);
        var account = await accounts.FindForSignInAsync(email, address, ct);
        var knownAddress = account?.KnowsAddress ?? false;
        if (!knownAddress)
        {
            throttle.EnterFromUnknownAddress(email);
        }

        var verdict = await passwords.VerifyAsync(request.Password, account?.PasswordHash, knownAddress, ct);
        if (account is null || verdict is PasswordVerdict.Wrong)
        {
            await AuditLog.WriteAsync(database, AuditActions.SignInFailed, account?.Profile.Id, null, address, ct);
            return (null, Problem.Result(StatusCodes.Status401Unauthorized, "invalid_credentials", "E-mail address or password are wrong."));
        }

        throttle.Succeeded(email, address, knownAddress);
        if (account.Disabled)
        {
            return (null, Problem.Result(StatusCodes.Status403Forbidden, "account_disabled", "An administrator has disabled this account."));
        }

        if (verdict is PasswordVerdict.RightButOld)
        {
            await accounts.RehashAsync(account.Profile.Id, account.PasswordHash, await passwords.HashAsync(request.Password, isKnown: true, ct), ct);
        }

        return (await StartAsync(account.Profile, address, ct), null);
    }

    public async Task<(TokenResponse? Tokens, ProblemHttpResult? Refusal)> WithRefreshTokenAsync(string token, string? nonce, string address, CancellationToken ct)
    {
        var (session, profile, refusal) = await sessions.RotateAsync(token, nonce, address, ct);
        if (refusal is RefreshRefusal.Reused)
        {
            states.Forget();
        }

        return session is null || profile is null
            ? (null, Problem.Result(StatusCodes.Status401Unauthorized, "invalid_refresh_token", "The refresh token is not valid, or not any more. Sign in again."))
            : (Tokens(profile, session), null);
    }

    public async Task<TokenResponse> StartAsync(UserProfile profile, string address, CancellationToken ct) =>
        Tokens(profile, await sessions.StartAsync(profile.Id, address, ct));

    public async Task<ProblemHttpResult?> ChangePasswordAsync(Caller caller, PasswordChangeRequest request, string address, CancellationToken ct)
    {
        var profile = await accounts.FindAsync(caller.Owner, ct);
        var stored = await accounts.FindPasswordHashAsync(caller.Owner, ct);
        if (profile is null || stored is null)
        {
            return Problem.NotFound("account");
        }

        if (Passwords.Problem(request.NewPassword, profile.Email) is { } problem)
        {
            return Problem.Invalid("newPassword", problem);
        }

        if (await CompareAsync(profile.Email, stored, request.CurrentPassword, address, ct) is { } wrong)
        {
            return wrong;
        }

        var hash = await passwords.HashAsync(request.NewPassword, isKnown: true, ct);
        await accounts.SetPasswordAsync(caller.Owner, hash, caller.SessionId, caller.Owner, AuditActions.PasswordChanged, address, ct);
        states.Forget();
        return null;
    }

    /// <summary>Null when it is the account's password: asked for once more before what can not be undone. Counts as a sign-in that may be wrong.</summary>
    public async Task<ProblemHttpResult?> ConfirmAsync(OwnerId owner, string password, string address, CancellationToken ct) =>
        await accounts.FindAsync(owner, ct) is { } profile && await accounts.FindPasswordHashAsync(owner, ct) is { } stored
            ? await CompareAsync(profile.Email, stored, password, address, ct)
            : Problem.NotFound("account");

    private async Task<ProblemHttpResult?> CompareAsync(string email, string stored, string password, string address, CancellationToken ct)
    {
        throttle.Enter(email, address);
        if (await passwords.VerifyAsync(password, stored, isKnown: true, ct) is PasswordVerdict.Wrong)
        {
            return Problem.Result(StatusCodes.Status403Forbidden, "invalid_credentials", "The current password is wrong.");
        }

        throttle.Succeeded(email, address, knownAddress: true);
        return null;
    }

    private TokenResponse Tokens(UserProfile profile, StartedSession session)
    {
        var lifetime = options.Value.AccessTokenLifetime;
        return new TokenResponse
        {
            User = profile,
            AccessToken = codec.Sign(TokenProfile.Access, profile.Id.Value, lifetime, session: session.Id),
            RefreshToken = session.RefreshToken,
            ExpiresIn = (int)lifetime.TotalSeconds,
        };
    }
}
