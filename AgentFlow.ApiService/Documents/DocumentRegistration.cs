using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Documents.Extraction;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Index.Upkeep;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace AgentFlow.ApiService.Documents;

internal static class DocumentRegistration
{
    /// <summary>Words, without stop words, in a passage of the default size; measured over the licences and this repository's documents.</summary>
    private const int AverageWords = 110;

    /// <summary>Uploading, ingestion and search. Needs the database and the queue; embeds as the memory service does, unless the host brings an embedder.</summary>
    public static IServiceCollection AddDocuments(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddValidatedOptions<DocumentOptions>(DocumentOptions.Section);
        if (services.All(service => service.ServiceType != typeof(IEmbeddingGenerator<string, Embedding<float>>)))
            services.AddEmbedding(configuration);
        services.TryAddSingleton(HashingEmbeddingGenerator.Space);
        services.AddSingleton<PassageEmbedder>();
        services.AddSingleton<OriginalStore>();
        services.AddSingleton<DocumentFollowUp>();
        services.AddHostedService(provider => provider.GetRequiredService<DocumentFollowUp>());
        services.AddSingleton<DocumentStore>();
        services.AddSingleton<DocumentTexts>();
        services.AddSingleton<DocumentUpload>();
        services.AddSingleton<IngestStore>();
        services.AddSingleton<DocumentReader>();
        services.AddSingleton<ChunkTruth>();
        services.AddSingleton<ChunkTail>();
        services.AddSingleton<IndexFollower>();
        services.AddHostedService(provider => provider.GetRequiredService<IndexFollower>());
        services.AddSingleton<DocumentSearch>();
        services.AddSingleton<Reembedding>();
        services.AddSingleton<DocumentUpkeep>();
        services.AddHostedService(provider => provider.GetRequiredService<DocumentUpkeep>());
        services.AddSingleton<AgentFlow.ServiceDefaults.Health.IReadinessCheck, IndexCheck>();
        services.AddValidatedOptions<InProcessIndexOptions>("Documents:Index");
        services.AddValidatedOptions<IndexUpkeepOptions>("Documents:Upkeep");
        services.AddVectorIndex<ChunkTruth>(configuration, "agentflow-documents", AverageWords, [DocumentFields.Document, DocumentFields.Collection]);
        services.AddSingleton<DocumentAccess>();
        services.AddSingleton<CollectionStore>();
        services.AddSingleton<UrlIngestion>();
        services.AddPublicFetch();
        services.AddIndexOutbox<ChunkOutbox>();
        services.AddTaskHandler<DocumentIngestion>();
        return services;
    }
}
