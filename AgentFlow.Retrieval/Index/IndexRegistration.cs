using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Index.Qdrant;
using AgentFlow.Retrieval.Index.Upkeep;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Retrieval.Index;

/// <summary>Puts a service's index together: Qdrant when the configuration names one, else the one in process.</summary>
public static class IndexRegistration
{
    /// <summary>
    /// Registers <see cref="VectorIndex"/> and its upkeep. Needs <typeparamref name="TTruth"/>, <see cref="EmbeddingSpace"/> and <see cref="Database"/> as singletons.
    /// </summary>
    /// <param name="name">What Qdrant's collections start with, such as <c>agentflow-memory</c>.</param>
    /// <param name="averageLength">Words in a usual record of this service; see <see cref="QdrantOptions.AverageLength"/>.</param>
    /// <param name="indexedColumns">Fields whose values many searches name, such as the user; each record has few of each.</param>
    /// <param name="indexedDates">Fields of dates that every search is narrowed by.</param>
    public static IServiceCollection AddVectorIndex<TTruth>(
        this IServiceCollection services, IConfiguration configuration, string name, int averageLength,
        IReadOnlyList<string> indexedColumns, params IReadOnlyList<FilterField> indexedDates)
        where TTruth : class, IIndexTruth
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var qdrant = FindQdrant(configuration, name) is { } found ? found with { AverageLength = averageLength, IndexedColumns = indexedColumns.ToHashSet(StringComparer.Ordinal), IndexedDates = indexedDates } : null;
        services.AddSingleton(provider =>
        {
            var (truth, space) = (provider.GetRequiredService<TTruth>(), provider.GetRequiredService<EmbeddingSpace>());
            var options = provider.GetService<Microsoft.Extensions.Options.IOptions<InProcessIndexOptions>>()?.Value ?? new InProcessIndexOptions();
            return qdrant is null
                ? VectorIndex.InProcess(truth, space, options)
                : VectorIndex.Qdrant(NewHttpClient(qdrant), qdrant, truth, space, options, provider.GetRequiredService<TimeProvider>());
        });
        services.AddSingleton(provider => new IndexUpkeep(
            provider.GetRequiredService<VectorIndex>(),
            provider.GetRequiredService<TTruth>(),
            provider.GetService<Microsoft.Extensions.Options.IOptions<IndexUpkeepOptions>>()?.Value ?? new IndexUpkeepOptions(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<IndexUpkeep>>(),
            new IndexMembership(
                provider.GetRequiredService<Database>(), qdrant?.Alias(provider.GetRequiredService<EmbeddingSpace>()) ?? "in-process", isExact: qdrant is null)));
        return services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<IndexUpkeep>());
    }

    /// <summary>
    /// <c>ConnectionStrings:qdrant_http</c>, or where that is absent <c>QDRANT_URL</c> with the port that it names, else <c>QDRANT_PORT</c> (default 6333;
    /// the gRPC port 6334 is taken for 6333, which it always accompanies) and the key in <c>QDRANT_API_KEY</c>.
    /// </summary>
    /// <exception cref="SettingException">The value has another form.</exception>
    public static QdrantOptions? FindQdrant(IConfiguration configuration, string name)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        if (configuration["ConnectionStrings:qdrant_http"] is { Length: > 0 } connectionString)
            return Parse(connectionString, name);
        if (configuration["QDRANT_URL"] is not { Length: > 0 } url)
            return null;
        var text = url.Contains("://", StringComparison.Ordinal) ? url : "http://" + url;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var address) || (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps))
            throw new SettingException("QDRANT_URL", $"found '{url}'", "Write an address such as http://localhost or http://localhost:6333");
        var port = Port(configuration["QDRANT_PORT"], address);
        var key = configuration["QDRANT_API_KEY"]?.Trim();
        if (key?.Any(character => character is <= ' ' or > '~') is true)
            throw new SettingException("QDRANT_API_KEY", "found (hidden)", "A key is visible ASCII characters without spaces: it is sent as a header");
        return new QdrantOptions { Endpoint = new UriBuilder(address.Scheme, address.Host, port == 6334 ? 6333 : port).Uri, ApiKey = string.IsNullOrEmpty(key) ? null : key, Name = name };
    }

    /// <summary>Also a named port that is the scheme's own, which <see cref="Uri"/> can't tell from none.</summary>
    private static int Port(string? setting, Uri address)
    {
        if (!address.IsDefaultPort || address.OriginalString.TrimEnd('/').EndsWith($":{address.Port}", StringComparison.Ordinal))
            return address.Port;
        if (string.IsNullOrEmpty(setting))
            return 6333;
        return ushort.TryParse(setting, System.Globalization.CultureInfo.InvariantCulture, out var port) && port > 0
            ? port
            : throw new SettingException("QDRANT_PORT", $"found '{setting}'", "Write a port from 1 to 65535");
    }

    private static QdrantOptions Parse(string connectionString, string name)
    {
        try
        {
            return QdrantOptions.Parse(connectionString, name);
        }
        catch (FormatException error)
        {
            throw new SettingException("ConnectionStrings:qdrant_http", "found (hidden)", error.Message.TrimEnd('.'));
        }
    }

    private static HttpClient NewHttpClient(QdrantOptions qdrant) => new(new SocketsHttpHandler
    {
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        ConnectTimeout = qdrant.Timeout / 2,
        UseProxy = false,
        AllowAutoRedirect = false,
    })
    {
        Timeout = System.Threading.Timeout.InfiniteTimeSpan,
    };
}
