using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace AgentFlow.ApiService;

/// <summary>
/// Every name that this service's own telemetry uses. GenAI names follow the OpenTelemetry conventions for generative AI (semconv 1.41
/// and its successor repository, status Development): change them here only.
/// </summary>
internal static class Telemetry
{
    public const string SourceName = "AgentFlow.ApiService";

    public static readonly ActivitySource Source = new(SourceName);
    public static readonly Meter Meter = new(SourceName);

    public static readonly Histogram<long> TokenUsage = Meter.CreateHistogram(
        "gen_ai.client.token.usage", "{token}", "Tokens of prompts and answers.",
        advice: new InstrumentAdvice<long> { HistogramBucketBoundaries = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864] });

    public static readonly Histogram<double> ChatDuration = Seconds("gen_ai.client.operation.duration", "From the request to the last token.");

    public static readonly Histogram<double> TimeToFirstChunk = Seconds("gen_ai.client.operation.time_to_first_chunk", "From the request to the first token.");

    public static readonly Histogram<double> TimePerChunk = Seconds("gen_ai.client.operation.time_per_output_chunk", "Mean time between two pieces of an answer.");

    public static readonly Histogram<double> InvokeAgentDuration = Seconds("gen_ai.invoke_agent.duration", "Of an agent's whole turn.");

    public static readonly Histogram<double> ExecuteToolDuration = Seconds("gen_ai.execute_tool.duration", "Of one tool call.");

    public static readonly Histogram<double> RecallDuration = Seconds("agentflow.recall.duration", "Of memories and documents together.");

    public static readonly Histogram<int> RecallHits = Meter.CreateHistogram<int>("agentflow.recall.hits", "{hit}", "Memories or passages that one recall brought, by source.");

    /// <summary>By source, so that an answer without two sources counts twice.</summary>
    public static readonly Counter<long> RecallDegraded = Meter.CreateCounter<long>("agentflow.recall.degraded", "{recall}", "Answers given without a source that was late or down, by source.");

    public static readonly UpDownCounter<int> OpenStreams = Meter.CreateUpDownCounter<int>("agentflow.streams.open", "{stream}", "Answers that are being streamed as server-sent events; WebSockets are Kestrel's kestrel.upgraded_connections.");

    public static readonly Counter<long> CitationsUnresolved = Meter.CreateCounter<long>("agentflow.citations.unresolved", "{citation}", "Markers that named no passage and were removed.");

    public static readonly Counter<long> FilterActions = Meter.CreateCounter<long>("agentflow.filter.actions", "{action}", "What the output filter removed, by kind.");

    public static readonly Counter<double> Cost = Meter.CreateCounter<double>("agentflow.model.cost", "{currency}", "At the configured prices.");

    private static Histogram<double> Seconds(string name, string description) => Meter.CreateHistogram(
        name, "s", description,
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92] });

    internal static class Operations
    {
        public const string Chat = "chat";
        public const string InvokeAgent = "invoke_agent";
        public const string ExecuteTool = "execute_tool";
        public const string Retrieval = "retrieval";
        public const string SearchMemory = "search_memory";
    }

    internal static class Tags
    {
        public const string Operation = "gen_ai.operation.name";
        public const string Provider = "gen_ai.provider.name";
        public const string RequestModel = "gen_ai.request.model";
        public const string RequestStream = "gen_ai.request.stream";
        public const string RequestMaxTokens = "gen_ai.request.max_tokens";
        public const string ResponseModel = "gen_ai.response.model";
        public const string ResponseId = "gen_ai.response.id";
        public const string FinishReasons = "gen_ai.response.finish_reasons";
        public const string TimeToFirstChunk = "gen_ai.response.time_to_first_chunk";
        public const string InputTokens = "gen_ai.usage.input_tokens";
        public const string OutputTokens = "gen_ai.usage.output_tokens";
        public const string CachedTokens = "gen_ai.usage.cache_read.input_tokens";
        public const string ReasoningTokens = "gen_ai.usage.reasoning.output_tokens";
        public const string TokenType = "gen_ai.token.type";
        public const string Conversation = "gen_ai.conversation.id";
        public const string AgentName = "gen_ai.agent.name";
        public const string ToolName = "gen_ai.tool.name";
        public const string ToolType = "gen_ai.tool.type";
        public const string ToolCallId = "gen_ai.tool.call.id";
        public const string ToolArguments = "gen_ai.tool.call.arguments";
        public const string ToolResult = "gen_ai.tool.call.result";
        public const string DataSource = "gen_ai.data_source.id";
        public const string MemoryCount = "gen_ai.memory.record.count";
        public const string InputMessages = "gen_ai.input.messages";
        public const string SystemInstructions = "gen_ai.system_instructions";
        public const string OutputMessages = "gen_ai.output.messages";
        public const string ErrorType = "error.type";
        public const string ServerAddress = "server.address";
        public const string ServerPort = "server.port";
        public const string RunId = "agentflow.run.id";
        public const string Kind = "agentflow.kind";
        public const string Source = "agentflow.source";
    }
}
