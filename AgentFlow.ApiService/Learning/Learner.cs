using System.Text.Json;
using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Models.Extractive;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.ApiService.Learning;

/// <summary>
/// Takes facts from a conversation into the memory. With the built-in model at once, because its answer says what was noted; with a
/// provider's model through the queue after the answer, never in its way. What can not be stored now is queued, so nothing said is lost.
/// </summary>
internal sealed partial class Learner(MemoryClient memories, DurableQueue queue, TimeProvider time, ILogger<Learner> log)
{
    /// <summary>The memory service's rules take a millisecond; on a busy machine a user rather waits than is told nothing of what was noted.</summary>
    private static readonly TimeSpan NoteDeadline = TimeSpan.FromSeconds(10);

    private const int MaxChange = 8_000;

    /// <summary>Stores what the user says about himself and about the work at hand, where the built-in model answers.</summary>
    /// <returns>The stored statements, newly known ones only.</returns>
    public async Task<IReadOnlyList<string>> NoteAsync(RunContext run, bool isOffline, CancellationToken ct)
    {
        if (!isOffline || !Learns(run) || !MayTellSomething(run))
            return [];
        using var deadline = new CancellationTokenSource(NoteDeadline, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(ct, deadline.Token);
        try
        {
            var noted = new List<string>();
            foreach (var facts in Facts(run))
            {
                var added = await memories.AddAsync(run.OwnerId, facts, linked.Token);
                noted.AddRange(added.Items.Where(i => i.Event is MemoryChange.Added or MemoryChange.Superseded or MemoryChange.Updated).Select(i => i.Text));
            }

            return noted;
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or IOException || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            LogLater(log, run.RunId, e.Message);
            await queue.EnqueueAsync(TaskFor(run, ""), ct);
            return [];
        }
    }

    /// <summary>Queues the turn for learning, where a provider's model answered: with the run's end, if that is its completion.</summary>
    /// <param name="isOffline">The built-in model answered.</param>
    /// <param name="byRules">Rules find only what may tell something: other turns are not queued.</param>
    /// <param name="readUntrusted">Text of others was in sight: it does not become a memory by being repeated in an answer.</param>
    public void Queue(RunContext run, RunWriter writer, bool isOffline, bool byRules, bool readUntrusted)
    {
        var answer = writer.Text;
        if (isOffline || !Learns(run) || answer.Length == 0 || (byRules && !MayTellSomething(run)))
            return;
        var task = TaskFor(run, readUntrusted ? "" : answer);
        writer.CommitWithEnd(batch => queue.EnqueueIf(
            batch, task, "exists (select from runs where id = $10 and status = $11)", [run.RunId.Value, (short)RunStatus.Completed]));
    }

    private static bool MayTellSomething(RunContext run) => Statements.MayTellSomething(run.Question) || WorkStatements.In(Cut(run.Question)).Count > 0;

    private static IEnumerable<AddMemoryRequest> Facts(RunContext run)
    {
        var said = Cut(run.Question);
        if (Statements.MayTellSomething(said))
        {
            yield return run.Author is { } author
                ? LearnTask.RoomFacts(run.ConversationId, author, said, run.UserMessageId, MemoryTrust.User)
                : LearnTask.UserFacts(run.OwnerId, said, run.UserMessageId, MemoryTrust.User);
        }

        foreach (var work in LearnTask.WorkFacts(run.ConversationId, run.Author, said, run.UserMessageId, MemoryTrust.User))
            yield return work;
    }

    private static bool Learns(RunContext run) => run is { IsKept: true, SelectedText: null } && run.Agent.Memory.Learn;

    private static QueuedTask TaskFor(RunContext run, string answer) => new(run.OwnerId.Value, LearnTask.TaskKind, JsonSerializer.SerializeToElement(
        new LearnInput(run.ConversationId, run.UserMessageId, run.Agent.Slug, Cut(run.Question), Cut(answer), run.Author), ContractJson.Options))
    {
        DedupKey = run.RunId.ToString(),
    };

    private static string Cut(string text) => text.Length <= MaxChange ? text : text[..MaxChange];

    [LoggerMessage(Level = LogLevel.Warning, Message = "What run {RunId} tells is stored later: {Reason}")]
    private static partial void LogLater(ILogger logger, RunId runId, string reason);
}
