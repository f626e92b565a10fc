using AgentFlow.ApiService.Limits;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Identity;

/// <summary>
/// Slows guessing down without letting anybody lock somebody else out: wrong sign-ins count by account and address together, by address,
/// and by account for addresses that the account was never used from. Asked before any hashing. Thread-safe.
/// </summary>
internal sealed class SignInThrottle(IOptions<LimitOptions> options, TimeProvider time)
{
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(15);

    private readonly RateQuota pairs = new(options.Value.SignInsPerAccountAndAddress, Window, time);
    private readonly RateQuota addresses = new(options.Value.SignInsPerAddress, Window, time);
    private readonly RateQuota accounts = new(options.Value.SignInsPerAccount, Window, time);

    /// <exception cref="ProblemException">429 with the time to wait.</exception>
    public void Enter(string email, string address)
    {
        Check(addresses.Take(address));
        Check(pairs.Take($"{email} {address}"));
    }

    /// <exception cref="ProblemException">429 with the time to wait.</exception>
    public void EnterFromUnknownAddress(string email) => Check(accounts.Take(email));

    /// <summary>The password was right: what the attempt took is given back.</summary>
    public void Succeeded(string email, string address, bool knownAddress)
    {
        pairs.Restore($"{email} {address}");
        addresses.Return(address);
        if (!knownAddress)
        {
            accounts.Return(email);
        }
    }

    private static void Check(QuotaState state)
    {
        if (!state.Taken)
        {
            throw new ProblemException(StatusCodes.Status429TooManyRequests, "too_many_attempts", "Too many wrong sign-ins. Wait, then try again.") { RetryAfter = state.RetryAfter };
        }
    }
}
