using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Identity;

/// <summary>
/// An installation without an account needs the set-up token, and there is no default for it: without one the start is refused, before
/// anything listens. Once an account exists the token is not needed any more.
/// </summary>
internal sealed class SetupCheck(AccountStore accounts, IOptions<IdentityOptions> options) : IHostedService
{
    /// <exception cref="SettingException">The token is missing and needed.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(options.Value.SetupToken) && !await accounts.AnyAsync(cancellationToken))
        {
            throw new SettingException(
                "Auth:SetupToken", "nothing", "The first account is made with it: set at least 16 random characters, for example $(openssl rand -hex 16), or make the account with 'user create-admin <email>'");
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
