using System.Diagnostics;
using System.Text.Json;
using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Settings;

namespace AgentFlow.ApiService.Context;

/// <summary>Searches what a run may quote, within what its agent is limited to: its owner's documents, or those that everybody in its room may read.</summary>
internal delegate Task<DocumentSearchResponse> SearchDocuments(RunContext run, string query, int topK, CancellationToken ct);

/// <summary>Section <c>Recall</c>.</summary>
internal sealed class RecallOptions
{
    public const string Section = "Recall";

    /// <summary>What has not answered by then is left out, and the answer says so; default 1.5 s, far above the p99 of both sources.</summary>
    [System.ComponentModel.DataAnnotations.Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan Deadline { get; set; } = TimeSpan.FromMilliseconds(1_500);
}

/// <param name="Degraded">memory or documents, where they were late or down.</param>
internal sealed record Recalled(IReadOnlyList<RecalledMemory> Memories, IReadOnlyList<RecalledChunk> Chunks, IReadOnlyList<string> Degraded, TimeSpan Elapsed)
{
    public static readonly Recalled Nothing = new([], [], [], TimeSpan.Zero);

    /// <summary>The memory service said so; false where it was not asked or did not answer.</summary>
    public bool LearnsByRules { get; init; }

    public ContextRecalled ToEvent() => new()
    {
        Memories = Memories,
        Chunks = Chunks,
        Ms = Math.Round(Elapsed.TotalMilliseconds, 3),
        Degraded = Degraded.Count == 0 ? null : Degraded,
    };
}

/// <summary>
/// Brings back what bears on a question: memories of user, agent and session, and passages of documents, asked side by side under one
/// deadline. A source that is late or down is left out and named. A run over a selected text recalls nothing.
/// </summary>
internal sealed partial class Recall(
    MemoryClient memories, SearchDocuments documents, Microsoft.Extensions.Options.IOptions<RecallOptions> options, TimeProvider time, ILogger<Recall> log)
{
    public async Task<Recalled> RunAsync(RunContext run, CancellationToken ct)
    {
        if (run.SelectedText is not null)
            return Recalled.Nothing;
        var startedAt = time.GetTimestamp();
        using var deadline = new CancellationTokenSource(options.Value.Deadline, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(ct, deadline.Token);
        var degraded = new List<string>();
        var fromMemory = MemoriesAsync(run, degraded, ct, linked.Token);
        var fromDocuments = DocumentsAsync(run, degraded, ct, linked.Token);
        await Task.WhenAll(fromMemory, fromDocuments);
        var elapsed = time.GetElapsedTime(startedAt);
        Telemetry.RecallDuration.Record(elapsed.TotalSeconds);
        foreach (var source in degraded.Distinct(StringComparer.Ordinal))
            Telemetry.RecallDegraded.Add(1, new KeyValuePair<string, object?>(Telemetry.Tags.Source, source));
        var memory = await fromMemory;
        Telemetry.RecallHits.Record(memory.Items.Count, new KeyValuePair<string, object?>(Telemetry.Tags.Source, "memory"));
        Telemetry.RecallHits.Record((await fromDocuments).Count, new KeyValuePair<string, object?>(Telemetry.Tags.Source, "documents"));
        return new Recalled(memory.Items, await fromDocuments, [.. degraded.Order(StringComparer.Ordinal)], elapsed) { LearnsByRules = memory.LearnsByRules };
    }

    private async Task<MemorySearchResult> MemoriesAsync(RunContext run, List<string> degraded, CancellationToken caller, CancellationToken ct)
    {
        if (!run.Agent.Memory.Recall)
            return new([], null);
        using var span = Telemetry.Source.StartActivity(Telemetry.Operations.SearchMemory, ActivityKind.Client);
        span?.SetTag(Telemetry.Tags.Operation, Telemetry.Operations.SearchMemory);
        try
        {
            var found = await memories.SearchAsync(new(run.OwnerId, run.Agent.Slug, run.ConversationId), run.Question, run.Agent.Memory.TopK, ct);
            span?.SetTag(Telemetry.Tags.MemoryCount, found.Items.Count);
            if (found.Degraded is { Count: > 0 } parts)
                AddDegraded(degraded, "memory", $"its {string.Join(", ", parts)} did not answer");
            return found;
        }
        catch (Exception e) when (IsSourceFailure(e, caller))
        {
            span?.SetStatus(ActivityStatusCode.Error);
            AddDegraded(degraded, "memory", e.Message);
            return new([], null);
        }
    }

    private async Task<IReadOnlyList<RecalledChunk>> DocumentsAsync(RunContext run, List<string> degraded, CancellationToken caller, CancellationToken ct)
    {
        if (!run.Agent.Retrieval.Enabled)
            return [];
        using var span = Telemetry.Source.StartActivity($"{Telemetry.Operations.Retrieval} documents", ActivityKind.Client);
        span?.SetTag(Telemetry.Tags.Operation, Telemetry.Operations.Retrieval);
        span?.SetTag(Telemetry.Tags.DataSource, "documents");
        try
        {
            var found = await documents(run, run.Question, run.TopK ?? run.Agent.Retrieval.TopK, ct);
            if (found.Degraded is { Count: > 0 } parts)
                AddDegraded(degraded, "documents", $"{string.Join(", ", parts)} did not answer");
            return [.. found.Items.Select(h => new RecalledChunk(h.DocumentId, h.ChunkId, h.DocumentName, h.Start, h.End, h.Text, h.Score, h.Page))];
        }
        catch (Exception e) when (IsSourceFailure(e, caller))
        {
            span?.SetStatus(ActivityStatusCode.Error);
            AddDegraded(degraded, "documents", e.Message);
            return [];
        }
    }

    private void AddDegraded(List<string> degraded, string source, string reason)
    {
        lock (degraded)
            degraded.Add(source);
        LogDegraded(log, source, reason);
    }

    /// <summary>Late, down or unreadable; a bug is none of these and rises.</summary>
    private static bool IsSourceFailure(Exception e, CancellationToken caller) =>
        e is HttpRequestException or IOException or TimeoutException or System.Data.Common.DbException or JsonException
        || (e is OperationCanceledException && !caller.IsCancellationRequested);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Recall goes on without {Source}: {Reason}")]
    private static partial void LogDegraded(ILogger logger, string source, string reason);
}

internal static class RecallRegistration
{
    public static IServiceCollection AddRecall(this IServiceCollection services)
    {
        services.AddValidatedOptions<RecallOptions>(RecallOptions.Section);
        services.AddSingleton<Recall>();
        return services;
    }
}
