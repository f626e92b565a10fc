using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.Configuration;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>Finds a service's database: <c>ConnectionStrings:name</c>, else the alias <c>POSTGRES_URL</c> (postgresql:// URI, one server for both services).</summary>
public static class ConnectionStrings
{
    /// <exception cref="SettingException">Neither is set, or what is set can not be read.</exception>
    public static NpgsqlConnectionStringBuilder Resolve(IConfiguration configuration, string name)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var key = $"ConnectionStrings:{name}";
        var value = configuration[key];
        if (string.IsNullOrWhiteSpace(value))
        {
            key = "POSTGRES_URL";
            value = configuration[key];
        }

        if (string.IsNullOrWhiteSpace(value))
        {
            throw new SettingException(
                $"ConnectionStrings:{name}", "not set", $"Set ConnectionStrings__{name} (Host=...;Username=...;Password=...;Database=...) or POSTGRES_URL (postgresql://user:password@host:5432/database)");
        }

        try
        {
            return value.Contains("://", StringComparison.Ordinal) ? FromUri(value) : new NpgsqlConnectionStringBuilder(value);
        }
        catch (Exception error) when (error is ArgumentException or UriFormatException or FormatException)
        {
            throw new SettingException(key, "can not be read as a Postgres connection string", "Write Host=...;Username=...;Password=...;Database=... or postgresql://user:password@host:5432/database");
        }
    }

    /// <summary>
    /// <c>postgresql://user:p%40ss@db.example:5433/agentflow?sslmode=require</c>; the database may be missing, then it is <c>agentflow</c>.
    /// </summary>
    internal static NpgsqlConnectionStringBuilder FromUri(string text)
    {
        var uri = new Uri(text);
        if (uri.Scheme is not ("postgresql" or "postgres"))
        {
            throw new UriFormatException("The scheme must be postgresql.");
        }

        var userInfo = uri.UserInfo.Split(':', 2);
        var builder = new NpgsqlConnectionStringBuilder
        {
            Host = Uri.UnescapeDataString(uri.Host.Trim('[', ']')),
            Port = uri.Port > 0 ? uri.Port : 5432,
            Username = Uri.UnescapeDataString(userInfo[0]),
            Database = uri.AbsolutePath.Length > 1 ? Uri.UnescapeDataString(uri.AbsolutePath[1..]) : "agentflow",
        };
        if (userInfo.Length == 2)
        {
            builder.Password = Uri.UnescapeDataString(userInfo[1]);
        }

        foreach (var pair in uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = pair.Split('=', 2);
            var option = parts[0] switch { "sslmode" => "SSL Mode", "application_name" => "Application Name", "host" => "Host", var other => other };
            builder[option] = Uri.UnescapeDataString(parts.Length == 2 ? parts[1].Replace("-", string.Empty, StringComparison.Ordinal) : string.Empty);
        }

        return builder;
    }
}
