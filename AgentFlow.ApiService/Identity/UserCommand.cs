using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Hosting;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Identity;

/// <summary>
/// Help for whoever has the server but not the way in: <c>dotnet run --project AgentFlow.ApiService -- user reset-password ada@example.org</c>
/// and <c>user create-admin ada@example.org</c>. Prints the new password, once.
/// </summary>
internal static class UserCommand
{
    public static bool IsAskedFor(string[] args) => args is ["user", ..];

    /// <returns>0; 1 when there is no such account, or there is one already; 78 when the command or a setting is wrong.</returns>
    public static async Task<int> RunAsync(string[] args)
    {
        try
        {
            if (args is not ["user", "reset-password" or "create-admin", var text] || !EmailAddress.TryNormalize(text, out var email))
            {
                throw new SettingException("user", "found another form", "Write: user reset-password <email>, or user create-admin <email>");
            }

            // Started, so that the schema is there; on a port of its own, so that it gets in nobody's way.
            await using var app = Program.Build(["--urls", "http://127.0.0.1:0", "--Queue:Enabled=false", $"--Auth:SetupToken={Secrets.New("")}"], builder => builder.Logging.ClearProviders());
            await app.StartAsync();
            var done = await RunAsync(app.Services, args[1], email);
            await app.StopAsync();
            return done;
        }
        catch (Exception error) when (error is SettingException or OptionsValidationException)
        {
            await Console.Error.WriteLineAsync($"Nothing was done: {error.Message}");
            return ServiceProcess.ConfigurationError;
        }
    }

    internal static async Task<int> RunAsync(IServiceProvider services, string command, string email)
    {
        var accounts = services.GetRequiredService<AccountStore>();
        var existing = await accounts.FindForSignInAsync(email, address: null, CancellationToken.None);
        if (command == "create-admin")
        {
            return existing is null ? await CreateAsync(services, email) : await FailAsync($"There is an account {email}; use reset-password.");
        }

        if (existing is null)
        {
            return await FailAsync($"There is no account {email}.");
        }

        var password = await services.GetRequiredService<PasswordResets>().ResetAsync(existing.Profile.Id, actor: null, address: null, CancellationToken.None);
        Console.WriteLine(password);
        await Console.Error.WriteLineAsync($"The new password of {email}; it is not shown again. Every sign-in has ended.");
        return 0;
    }

    private static async Task<int> CreateAsync(IServiceProvider services, string email)
    {
        var password = Secrets.New("")[..24];
        var owner = OwnerId.New();
        await services.GetRequiredService<Database>().AsWorker().CreateBatch()
            .Add(
                "insert into users (owner_id, email, display_name, password_hash, role) values ($1, $2, $3, $4, $5)",
                [owner.Value, email, email[..email.IndexOf('@', StringComparison.Ordinal)], await services.GetRequiredService<Passwords>().HashAsync(password, isKnown: true, CancellationToken.None), AccountStore.Write(UserRole.Admin)])
            .Audit(AuditActions.Registered, owner, actor: null, address: null, new { admission = "command" })
            .ExecuteAsync(CancellationToken.None);
        Console.WriteLine(password);
        await Console.Error.WriteLineAsync($"The password of the new administrator {email}; it is not shown again.");
        return 0;
    }

    private static async Task<int> FailAsync(string why)
    {
        await Console.Error.WriteLineAsync(why);
        return 1;
    }
}
