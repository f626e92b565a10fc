namespace AgentFlow.AppHost;

/// <summary>
/// Every resource name and configuration key that crosses from the AppHost to a service. Both forms take them from here, and the
/// tests compare what the services really receive with this file.
/// </summary>
internal static class ResourceNames
{
    public const string Postgres = "postgres";
    public const string Qdrant = "qdrant";
    public const string Memory = "memory";
    public const string Api = "api";
    public const string Web = "web";
    public const string Dashboard = "dashboard";

    /// <summary>The connection string's name; the database behind it is <see cref="ApiDatabaseName"/>.</summary>
    public const string ApiDatabase = "agentflow-api";
    public const string ApiDatabaseName = "agentflow_api";
    public const string MemoryDatabase = "agentflow-memory";
    public const string MemoryDatabaseName = "agentflow_memory";

    /// <summary>Qdrant's HTTP form (port 6333); <see cref="Qdrant"/> itself is the gRPC form, as Aspire sets it.</summary>
    public const string QdrantHttp = "qdrant_http";

    /// <summary>Answers 200 while the process serves; touches no dependency.</summary>
    public const string HealthPath = "/health";

    /// <summary>Names each dependency and its state; 503 when the service can not do its job.</summary>
    public const string ReadyPath = "/ready";

    /// <summary>Settings of other products that the API and memory services understand; passed on where they are set.</summary>
    public static IReadOnlyList<string> OptionalSettings { get; } = ["NEO4J_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"];

    /// <summary>Configuration keys in the form of environment variables (a colon is written as two underscores).</summary>
    public static class Keys
    {
        public const string ApiConnection = "ConnectionStrings__" + ApiDatabase;
        public const string MemoryConnection = "ConnectionStrings__" + MemoryDatabase;
        public const string QdrantConnection = "ConnectionStrings__" + Qdrant;
        public const string QdrantHttpConnection = "ConnectionStrings__" + QdrantHttp;
        public const string MemoryAddress = "services__" + Memory + "__http__0";
        public const string ApiAddress = "services__" + Api + "__http__0";

        /// <summary>The signing key ring, <c>kid:base64secret</c>, several separated by commas; the first one signs.</summary>
        public const string SigningKeys = "Auth__Keys";

        /// <summary>Needed to register the first account, which becomes the administrator.</summary>
        public const string SetupToken = "Auth__SetupToken";

        public const string MaxPoolSize = "Postgres__MaxPoolSize";

        /// <summary>Read only where the connection strings are absent: one <c>postgresql://</c> address for both databases.</summary>
        public const string PostgresUrlAlias = "POSTGRES_URL";

        /// <summary>Read only where Qdrant's connection strings are absent.</summary>
        public const string QdrantUrlAlias = "QDRANT_URL";

        public const string OtlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
        public const string OtlpProtocol = "OTEL_EXPORTER_OTLP_PROTOCOL";
        public const string ServiceName = "OTEL_SERVICE_NAME";

        /// <summary>Aspire switches the capture of prompts and answers on in development; here it is opt-in.</summary>
        public const string CaptureMessageContent = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";

        public const string Urls = "ASPNETCORE_URLS";
        public const string Environment = "ASPNETCORE_ENVIRONMENT";
        public const string GenericEnvironment = "DOTNET_ENVIRONMENT";

        /// <summary>Set to 1 by a parent that holds the other end of standard input: its end means that the parent is gone.</summary>
        public const string ParentPipe = "AGENTFLOW_PARENT_PIPE";
    }

    /// <summary>What the local form itself reads from its environment.</summary>
    public static class Local
    {
        public const string Home = "AGENTFLOW_HOME";
        public const string WebPort = "AGENTFLOW_WEB_PORT";
        public const string ApiPort = "AGENTFLOW_API_PORT";
        public const string MemoryPort = "AGENTFLOW_MEMORY_PORT";

        /// <summary>Seconds that a stop may take altogether before what still runs is killed, 1 to 600.</summary>
        public const string StopSeconds = "AGENTFLOW_STOP_SECONDS";

        /// <summary>What ten seconds leave when the AppHost itself needs a moment at the end.</summary>
        public const int DefaultStopSeconds = 9;
        public const int DefaultWebPort = 5080;
        public const int DefaultApiPort = 5081;
        public const int DefaultMemoryPort = 5082;
    }
}
