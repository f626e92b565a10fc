using System.Security.Cryptography;
using System.Text;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Identity;

/// <summary>Who may have an account: the first by the set-up token, others as <see cref="IdentityOptions.Registration"/> says.</summary>
internal sealed class Registration(AccountStore accounts, Passwords passwords, IOptions<IdentityOptions> options)
{
    private const int MaxDisplayNameLength = 100;

    /// <summary>Cheap refusals come before the hashing, which costs 80 ms of a core.</summary>
    public async Task<(UserProfile? Profile, ProblemHttpResult? Refusal)> RegisterAsync(RegisterRequest request, string address, CancellationToken ct)
    {
        if (!EmailAddress.TryNormalize(request.Email, out var email))
        {
            return (null, Problem.Invalid("email", "This is not an e-mail address."));
        }

        var name = string.IsNullOrWhiteSpace(request.DisplayName) ? email[..email.IndexOf('@', StringComparison.Ordinal)] : request.DisplayName.Trim();
        if (DisplayNameProblem(name) is { } nameProblem)
        {
            return (null, Problem.Invalid("displayName", nameProblem));
        }

        if (Passwords.Problem(request.Password, email) is { } passwordProblem)
        {
            return (null, Problem.Invalid("password", passwordProblem));
        }

        var (admission, refusal) = await AdmitAsync(request, email, ct);
        if (refusal is not null)
        {
            return (null, refusal);
        }

        var hash = await passwords.HashAsync(request.Password, admission is not Admission.Open, ct);
        var invite = admission is Admission.Invited ? Secrets.Hash(request.InviteToken!) : null;
        var (profile, failed) = await accounts.CreateAsync(admission, email, name, hash, invite, address, ct);
        return (profile, failed switch
        {
            AccountRefusal.EmailTaken => Problem.Result(StatusCodes.Status409Conflict, "email_taken", "There is an account with this e-mail address."),
            AccountRefusal.NotFirst => Refuse("The first account has been made."),
            AccountRefusal.InviteUnusable => Refuse("The invite is not valid, or not any more."),
            _ => null,
        });
    }

    public static string? DisplayNameProblem(string name) =>
        string.IsNullOrWhiteSpace(name) || name.Length > MaxDisplayNameLength ? $"1 to {MaxDisplayNameLength} characters."
        : name.Any(char.IsControl) ? "No control characters."
        : null;

    private async Task<(Admission Admission, ProblemHttpResult? Refusal)> AdmitAsync(RegisterRequest request, string email, CancellationToken ct)
    {
        if (!await accounts.AnyAsync(ct))
        {
            return (Admission.First, IsSetupToken(request.SetupToken) ? null : Refuse("The first account needs the set-up token that was printed at the start."));
        }

        if (request.InviteToken is { } invite && options.Value.Registration is not RegistrationMode.Closed)
        {
            var usable = Secrets.HasForm(invite, Secrets.InvitePrefix) && await accounts.IsInviteUsableAsync(Secrets.Hash(invite), email, ct);
            return (Admission.Invited, usable ? null : Refuse("The invite is not valid, or not any more."));
        }

        return (Admission.Open, options.Value.Registration is RegistrationMode.Open ? null : Refuse(
            options.Value.Registration is RegistrationMode.Invite ? "Registration needs an invite." : "Registration is closed."));
    }

    private bool IsSetupToken(string? given) => options.Value.SetupToken is { } expected && given is not null
        && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(expected)), SHA256.HashData(Encoding.UTF8.GetBytes(given)));

    private static ProblemHttpResult Refuse(string detail) => Problem.Result(StatusCodes.Status403Forbidden, "registration_refused", detail);
}
