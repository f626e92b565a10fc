#if USE_ASPIRE
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>Compiled only with <c>UseAspire=true</c>: the data source from Aspire.Npgsql, with its traces, metrics and configuration.</summary>
internal static class AspireDataSource
{
    /// <summary>Health checks stay ours: <c>/ready</c> asks as the role that the service works as.</summary>
    public static void Add(IHostApplicationBuilder builder, string connectionName, DatabaseTarget target) =>
        builder.AddNpgsqlDataSource(
            connectionName,
            settings =>
            {
                settings.ConnectionString = target.PooledConnectionString;
                settings.DisableHealthChecks = true;
            },
            source => source.Name = target.Schema);
}
#endif
