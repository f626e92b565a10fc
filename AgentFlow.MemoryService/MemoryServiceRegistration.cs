using AgentFlow.MemoryService.Erasure;
using AgentFlow.MemoryService.Events;
using AgentFlow.MemoryService.Exchange;
using AgentFlow.MemoryService.Graph;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.MemoryService.Search;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Index.Upkeep;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.AI;

namespace AgentFlow.MemoryService;

internal static class MemoryServiceRegistration
{
    internal static WebApplicationBuilder AddMemories(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddValidatedOptions<MemoryOptions>(MemoryOptions.Section);
        if (string.Equals(builder.Configuration[$"{MemoryOptions.Section}:{nameof(MemoryOptions.Backend)}"], nameof(MemoryBackend.Mem0), StringComparison.OrdinalIgnoreCase))
            throw new SettingException("Memory:Backend", "found mem0", "Use local: forwarding to Mem0's hosted API is not built yet, and memories are never kept elsewhere than asked");
        services.AddSingleton(ExtractionModelOptions.From(builder.Configuration));
        services.AddHttpClient(ModelExtraction.ClientName, client => client.Timeout = Timeout.InfiniteTimeSpan);
        services.AddSingleton<MemoryStore>().AddSingleton<MemoryEditing>().AddSingleton<MemoryReader>().AddSingleton<MemoryChanges>().AddSingleton<MemoryBatches>();
        services.AddSingleton<EventReader>().AddTaskHandler<AddMemoriesTask>().AddSingleton<GraphReader>().AddSingleton<ErasureStore>();
        services.AddSingleton<ExportReader>().AddSingleton<ImportStore>().AddSingleton<MemoryImport>();
        services.AddHostedService<ExpirySweep>();
        services.AddSingleton<MemoryIngestion>().AddSingleton<FactExtraction>().AddSingleton<ModelExtraction>().AddSingleton<SimilarityDeduplication>();
        services.AddSingleton<MemorySearch>().AddSingleton<CandidateRows>().AddSingleton<RelatedMemories>().AddSingleton<EntityCandidates>().AddSingleton<MemoryDecay>();
        return builder;
    }

    /// <summary>Words of a usual memory: LoCoMo's turns have 24 on average, extracted facts about 12.</summary>
    private const int UsualWords = 20;

    internal static WebApplicationBuilder AddMemoryIndex(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton(HashingEmbeddingGenerator.Space);
        services.AddSingleton<IEmbeddingGenerator<string, Embedding<float>>, HashingEmbeddingGenerator>();
        services.AddSingleton<MemoryEmbedding>();
        services.AddSingleton<MemoryTruth>();
        services.AddValidatedOptions<InProcessIndexOptions>("Memory:Index");
        services.AddValidatedOptions<IndexUpkeepOptions>("Memory:Upkeep");
        services.AddVectorIndex<MemoryTruth>(builder.Configuration, "agentflow-memory", UsualWords);
        services.AddIndexOutbox<MemoryOutboxHandler>();
        services.AddSingleton<IndexedWrites>();
        services.AddHostedService(provider => provider.GetRequiredService<IndexedWrites>());
        return builder;
    }
}
