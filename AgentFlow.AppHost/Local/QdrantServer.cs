using System.Globalization;

namespace AgentFlow.AppHost.Local;

/// <summary>Qdrant, where its program is on PATH. It holds only what can be rebuilt from PostgreSQL.</summary>
internal sealed record QdrantServer(string Program, string StateFolder, string Key, int HttpPort, int GrpcPort)
{
    public const string FolderName = "qdrant";

    public string Folder => Path.Combine(StateFolder, FolderName);

    public IReadOnlyList<string> Command => Guard.Before("TERM", [Program]);

    public string GrpcConnection => string.Create(CultureInfo.InvariantCulture, $"Endpoint=http://localhost:{GrpcPort};Key={Key}");

    public string HttpConnection => string.Create(CultureInfo.InvariantCulture, $"Endpoint=http://localhost:{HttpPort};Key={Key}");

    public Uri Ready => new(string.Create(CultureInfo.InvariantCulture, $"http://localhost:{HttpPort}/readyz"));

    public IReadOnlyDictionary<string, string?> Environment => new Dictionary<string, string?>(StringComparer.Ordinal)
    {
        ["QDRANT__SERVICE__HOST"] = "127.0.0.1",
        ["QDRANT__SERVICE__HTTP_PORT"] = HttpPort.ToString(CultureInfo.InvariantCulture),
        ["QDRANT__SERVICE__GRPC_PORT"] = GrpcPort.ToString(CultureInfo.InvariantCulture),
        ["QDRANT__SERVICE__API_KEY"] = Key,
        ["QDRANT__STORAGE__STORAGE_PATH"] = Path.Combine(Folder, "storage"),
        ["QDRANT__STORAGE__SNAPSHOTS_PATH"] = Path.Combine(Folder, "snapshots"),
        ["QDRANT__TELEMETRY_DISABLED"] = "true",
        ["QDRANT__LOG_LEVEL"] = "WARN",
    };
}
