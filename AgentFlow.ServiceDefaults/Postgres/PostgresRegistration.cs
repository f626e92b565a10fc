using System.Reflection;
using AgentFlow.ServiceDefaults.Health;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

public static class PostgresRegistration
{
    /// <summary>Registers <see cref="Database"/> and <see cref="Notifications"/>, and migrates before the service listens.</summary>
    /// <param name="builder">The service.</param>
    /// <param name="connectionName"><c>agentflow-api</c> or <c>agentflow-memory</c>: the connection string's name and, with underscores, the schema's.</param>
    /// <param name="schema">The assembly whose embedded <c>NNNN_name.sql</c> files make the service's tables.</param>
    public static WebApplicationBuilder AddPostgres(this WebApplicationBuilder builder, string connectionName, Assembly schema)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(schema);
        var services = builder.Services;
        services.AddValidatedOptions<PostgresOptions>(PostgresOptions.Section);
        var configured = ConnectionStrings.Resolve(builder.Configuration, connectionName);
        services.AddSingleton(provider => new DatabaseTarget(configured, connectionName, provider.GetRequiredService<IOptions<PostgresOptions>>().Value));
#if USE_ASPIRE
        var pool = builder.Configuration.GetSection(PostgresOptions.Section).Get<PostgresOptions>() ?? new PostgresOptions();
        AspireDataSource.Add(builder, connectionName, new DatabaseTarget(configured, connectionName, pool));
#else
        services.AddSingleton(provider => DataSources.Create(
            provider.GetRequiredService<DatabaseTarget>().PooledConnectionString, provider.GetRequiredService<DatabaseTarget>().Schema, provider.GetRequiredService<ILoggerFactory>()));
#endif
        services.AddSingleton(provider => new Database(
            provider.GetRequiredService<NpgsqlDataSource>(), provider.GetRequiredService<DatabaseTarget>().Schema));
        services.AddSingleton(provider => new Migrator(
            provider.GetRequiredService<DatabaseTarget>(),
            [.. Migration.Load(typeof(PostgresRegistration).Assembly), .. Migration.Load(schema)],
            provider.GetRequiredService<ILogger<Migrator>>()));
        services.AddHostedService<DatabaseStart>();
        services.AddSingleton<IReadinessCheck, PostgresCheck>();
        services.AddSingleton(provider => new Notifications(
            provider.GetRequiredService<DatabaseTarget>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<Notifications>>()));
        services.AddHostedService(provider => provider.GetRequiredService<Notifications>());
        return builder;
    }
}
