using AgentFlow.MemoryService.Erasure;
using AgentFlow.MemoryService.Events;
using AgentFlow.MemoryService.Exchange;
using AgentFlow.MemoryService.Graph;
using AgentFlow.MemoryService.Graph.Neo4j;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Mem0.Backend;
using AgentFlow.MemoryService.Memories;
using AgentFlow.MemoryService.Search;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Index.Upkeep;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.ServiceDefaults.Settings;

namespace AgentFlow.MemoryService;

internal static class MemoryServiceRegistration
{
    internal static WebApplicationBuilder AddMemories(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddValidatedOptions<MemoryOptions>(MemoryOptions.Section);
        if (Mem0Backend.IsAskedFor(builder.Configuration))
            builder.AddMem0Backend();
        else if (!string.IsNullOrEmpty(builder.Configuration["MEM0_API_KEY"]))
            services.AddHostedService<IdleMem0Key>();
        services.AddSingleton(ExtractionModelOptions.From(builder.Configuration));
        services.AddHttpClient(ModelExtraction.ClientName, client => client.Timeout = Timeout.InfiniteTimeSpan);
        services.AddSingleton<MemoryGroups>().AddSingleton<MemoryStore>().AddSingleton<MemoryEditing>().AddSingleton<MemoryReader>().AddSingleton<MemoryChanges>().AddSingleton<MemoryBatches>();
        services.AddSingleton<EventReader>().AddTaskHandler<AddMemoriesTask>().AddSingleton<GraphReader>().AddSingleton<ErasureStore>();
        services.AddSingleton<ExportReader>().AddSingleton<ImportStore>().AddSingleton<MemoryImport>();
        services.AddHostedService<ExpirySweep>();
        services.AddSingleton<MemoryIngestion>().AddSingleton<FactExtraction>().AddSingleton<ModelExtraction>().AddSingleton<SimilarityDeduplication>();
        services.AddSingleton<MemorySearch>().AddSingleton<PastSearch>().AddSingleton<CandidateRows>().AddSingleton<RelatedMemories>().AddSingleton<EntityCandidates>().AddSingleton<MemoryDecay>();
        return builder;
    }

    /// <summary>Words of a usual memory: LoCoMo's turns have 24 on average, extracted facts about 12.</summary>
    private const int UsualWords = 20;

    internal static WebApplicationBuilder AddMemoryIndex(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<MemoryEmbedding>();
        services.AddSingleton<MemoryTruth>();
        services.AddValidatedOptions<InProcessIndexOptions>("Memory:Index");
        services.AddValidatedOptions<IndexUpkeepOptions>("Memory:Upkeep");
        services.AddEmbedding(builder.Configuration);
        services.AddVectorIndex<MemoryTruth>(builder.Configuration, "agentflow-memory", UsualWords, SubjectFilter.Columns, MemoryFilters.ValidTo, MemoryFilters.ExpiresAt);
        if (Neo4jOptions.Find(builder.Configuration) is { } neo4j)
        {
            services.AddSingleton(neo4j).AddSingleton<Neo4jMirror>();
            services.AddHttpClient(Neo4jMirror.ClientName, client => client.Timeout = Neo4jMirror.Timeout);
        }

        services.AddIndexOutbox<MemoryOutboxHandler>();
        services.AddSingleton<MemoryReembedding>();
        services.AddHostedService(provider => provider.GetRequiredService<MemoryReembedding>());
        services.AddSingleton<IndexedWrites>();
        services.AddHostedService(provider => provider.GetRequiredService<IndexedWrites>());
        return builder;
    }
}
