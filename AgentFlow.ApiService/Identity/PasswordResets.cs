using AgentFlow.Contracts;

namespace AgentFlow.ApiService.Identity;

/// <summary>Random passwords that an administrator hands over; every sign-in of the account ends.</summary>
internal sealed class PasswordResets(AccountStore accounts, Passwords passwords)
{
    /// <param name="actor">Null for the command on the server.</param>
    /// <returns>The new password, known to nobody else.</returns>
    public async Task<string> ResetAsync(OwnerId owner, OwnerId? actor, string? address, CancellationToken ct)
    {
        var password = Secrets.New("")[..24];
        await accounts.SetPasswordAsync(owner, await passwords.HashAsync(password, isKnown: true, ct), keepSession: null, actor, AuditActions.PasswordReset, address, ct);
        return password;
    }
}
