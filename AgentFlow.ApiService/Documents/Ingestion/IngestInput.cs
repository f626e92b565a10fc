using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.ApiService.Documents;

/// <summary>What an ingestion task is told: which document, and which of its versions to make.</summary>
internal sealed record IngestInput(Guid DocumentId, int Version)
{
    public const string Kind = "ingest";

    public static QueuedTask Task(OwnerId owner, DocumentId document, int version) =>
        new(owner.Value, Kind, JsonSerializer.SerializeToElement(new IngestInput(document.Value, version), ContractJson.Options));
}
