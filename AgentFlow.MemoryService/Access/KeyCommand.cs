using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Settings;

namespace AgentFlow.MemoryService.Access;

/// <summary>
/// <c>dotnet run --project AgentFlow.MemoryService -- key create --name laptop --scopes read,write [--owner id] [--user id] [--agent id]</c>: makes a
/// key where there is no API to ask for one, and prints it, alone, to standard output.
/// </summary>
internal static class KeyCommand
{
    internal static bool IsAskedFor(string[] args) => args is ["key", "create", ..];

    /// <returns>0; 78 when the command or a setting is wrong.</returns>
    internal static async Task<int> RunAsync(string[] args)
    {
        try
        {
            await using var app = MemoryServiceApplication.Build(["--urls", "http://127.0.0.1:0"], builder =>
                builder.Configuration["Logging:Console:LogLevel:Default"] = nameof(LogLevel.None));
            return await CreateAsync(app, Parse(args));
        }
        catch (SettingException error)
        {
            await Console.Error.WriteLineAsync($"Can not make a key: {error.Message}");
            return ServiceDefaults.Hosting.ServiceProcess.ConfigurationError;
        }
    }

    private static async Task<int> CreateAsync(WebApplication app, Dictionary<string, string> options)
    {
        var scopes = options.GetValueOrDefault("scopes", "read,write").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (scopes.Length == 0 || scopes.Except(AccessScopes.All, StringComparer.Ordinal).Any())
            throw new SettingException("--scopes", $"found {string.Join(',', scopes)}", $"Use some of {string.Join(", ", AccessScopes.All)}");
        await app.StartAsync();
        var database = app.Services.GetRequiredService<Database>();
        var owner = options.TryGetValue("owner", out var given)
            ? Guid.TryParse(given, out var parsed) ? parsed : throw new SettingException("--owner", $"found {given}", "Give the id of an account")
            : await OnlyOwnerAsync(database);
        var subject = new MemoryScope
        {
            UserId = options.GetValueOrDefault("user"), AgentId = options.GetValueOrDefault("agent"),
            SessionId = options.GetValueOrDefault("session"), AppId = options.GetValueOrDefault("app"),
        };
        var key = new NewMemoryKey
        {
            Name = options.GetValueOrDefault("name", "command line"),
            Scopes = scopes,
            Subject = Memories.SubjectFilter.IsEmpty(subject) ? null : subject,
        };
        var created = await app.Services.GetRequiredService<ApiKeyStore>().CreateAsync(owner, key, CancellationToken.None);
        Console.WriteLine(created.Secret);
        await Console.Error.WriteLineAsync($"Owner {owner}, scopes {string.Join(", ", created.Key.Scopes)}. The key is not shown again.");
        await app.StopAsync();
        return 0;
    }

    /// <summary>Whoever runs the service alone is one owner: the first key makes him, later ones are his, too.</summary>
    private static async Task<Guid> OnlyOwnerAsync(Database database)
    {
        var owners = await database.AsWorker().QueryAsync(
            "select distinct owner_id from memory_api_keys limit 2", [], reader => reader.GetGuid(0), CancellationToken.None);
        return owners.Count switch
        {
            0 => Guid.CreateVersion7(),
            1 => owners[0],
            _ => throw new SettingException("--owner", "not given, and there are keys of several owners", "Say whose key it is"),
        };
    }

    private static Dictionary<string, string> Parse(string[] args)
    {
        string[] known = ["name", "scopes", "owner", "user", "agent", "session", "app"];
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 2; i < args.Length; i++)
        {
            var parts = args[i].Split('=', 2);
            var name = parts[0].StartsWith("--", StringComparison.Ordinal) ? parts[0][2..] : string.Empty;
            if (!known.Contains(name, StringComparer.Ordinal))
                throw new SettingException(args[i], "not an option of key create", $"Use {string.Join(", ", known.Select(option => "--" + option))}");
            options[name] = parts.Length == 2 ? parts[1] : ++i < args.Length ? args[i] : throw new SettingException(args[i - 1], "no value", "Write the value behind it");
        }

        return options;
    }
}
