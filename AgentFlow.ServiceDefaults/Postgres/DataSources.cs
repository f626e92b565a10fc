using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>
/// Makes every data source with the types that AgentFlow stores and no others: Npgsql's complete set (geometry, ranges, network
/// addresses, search vectors ...) is compiled at each start, 1,400 methods in each service, and for each connection string anew.
/// </summary>
internal static class DataSources
{
    /// <summary>An index that is loaded reads some 2 kB for each row: with Npgsql's 8 kB it would ask the socket for every third one.</summary>
    private const int ReadBufferSize = 32 << 10;

    public static NpgsqlDataSource Create(string connectionString) => Create(connectionString, name: null, loggers: null);

    public static NpgsqlDataSource Create(string connectionString, string? name, ILoggerFactory? loggers)
    {
        var builder = new NpgsqlSlimDataSourceBuilder(connectionString) { Name = name };
        if (!builder.ConnectionStringBuilder.ContainsKey("Read Buffer Size"))
            builder.ConnectionStringBuilder.ReadBufferSize = ReadBufferSize;
        builder.EnableArrays().EnableJsonTypes().EnableTransportSecurity().EnableIntegratedSecurity();
        if (loggers is not null)
            builder.UseLoggerFactory(loggers);
        return builder.Build();
    }
}
