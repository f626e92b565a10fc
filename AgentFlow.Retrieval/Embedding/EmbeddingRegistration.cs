using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Retrieval.Embedding;

public static class EmbeddingRegistration
{
    /// <summary>Vectors of texts that come again, such as repeated queries, are kept for this many texts.</summary>
    private const int CachedTexts = 4_096;

    /// <summary>The configured embedder and its <see cref="EmbeddingSpace"/>, or the built-in one where none is configured.</summary>
    /// <exception cref="SettingException">What is configured can not be read.</exception>
    public static IServiceCollection AddEmbedding(this IServiceCollection services, IConfiguration configuration)
    {
        if (Find(configuration) is not { } options)
        {
            services.AddSingleton(HashingEmbeddingGenerator.Space);
            return services.AddSingleton<IEmbeddingGenerator<string, Embedding<float>>, HashingEmbeddingGenerator>();
        }

        services.AddSingleton(options.Space);
        return services.AddSingleton<IEmbeddingGenerator<string, Embedding<float>>>(_ => new EmbeddingCache(
            new OpenAIEmbeddingGenerator(
                new HttpClient(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.FromMinutes(5), ConnectTimeout = TimeSpan.FromSeconds(5), AllowAutoRedirect = false })
                {
                    Timeout = System.Threading.Timeout.InfiniteTimeSpan,
                },
                options),
            CachedTexts));
    }

    private static EmbeddingServer? Find(IConfiguration configuration)
    {
        try
        {
            return EmbeddingServer.Find(configuration);
        }
        catch (FormatException error)
        {
            throw new SettingException(EmbeddingServer.Section, "can not be read", error.Message);
        }
    }
}
