using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Runs;

/// <summary>Opens readers and streams on runs, for every transport.</summary>
internal sealed class RunStreams(
    RunStore store, LocalRuns local, RemoteTails remote, IOptions<RunsOptions> options, TimeProvider time, IHostApplicationLifetime lifetime)
{
    public RunReader Read(OwnerId owner, RunTicket ticket, long after = 0)
    {
        var reader = new RunReader(owner, ticket.RunId, after, local, remote, store, time);
        return ticket.Local is { } run ? reader.On(run) : reader;
    }

    /// <summary>The stream of a run that this request started or repeats.</summary>
    public RunEventStream Stream(OwnerId owner, RunTicket ticket, OnDisconnect onDisconnect) =>
        Open(ticket.RunId, Read(owner, ticket), ticket.IsReplay ? null : ticket.Local, onDisconnect);

    /// <summary>The rest of a run's log, live if the run goes on. Null when there is nothing more and never will be.</summary>
    /// <exception cref="ServiceDefaults.Problems.ProblemException">404 unknown, 400 beyond the log, 410 expired.</exception>
    public async Task<RunEventStream?> ResumeAsync(OwnerId owner, RunId id, long after, CancellationToken ct)
    {
        var row = await store.FindAsync(owner, id, ct) ?? throw RunErrors.NotFound();
        if (row.IsLogExpired)
            throw RunErrors.Expired();
        if (after > row.LastSeq)
            throw RunErrors.BeyondTheLog(after, row.LastSeq);
        if (row.State.EndedAt is not null && after == row.LastSeq)
            return null;
        local.TryFind(id, out var run);
        return Open(id, Read(owner, new(id, row.State.ConversationId, run, IsReplay: true), after), started: null, OnDisconnect.Continue);
    }

    /// <summary>Everything that the run wrote, and its terminal event, once it has ended.</summary>
    public async Task<(RunWriter Written, RunEvent Terminal)> CollectAsync(OwnerId owner, RunTicket ticket, CancellationToken ct)
    {
        if (ticket.Local is { } run)
        {
            if (await run.Ended.WaitAsync(ct) is { } terminal && run.Written is { } written)
                return (written, terminal);
            if (run.Reason == StopReason.Draining)
                throw RunErrors.Left(ticket.RunId);
        }

        using var reader = Read(owner, ticket with { Local = null });
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, lifetime.ApplicationStopping);
        try
        {
            return await ReplayAsync(reader, ticket.RunId, both.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // Another process executes the run, and this one is being stopped.
            throw RunErrors.Left(ticket.RunId);
        }
    }

    private async Task<(RunWriter Written, RunEvent Terminal)> ReplayAsync(RunReader reader, RunId run, CancellationToken ct)
    {
        var replayed = new RunWriter(run, (_, _) => ValueTask.CompletedTask);
        var events = new List<StoredEvent>();
        while (!reader.IsAtEnd)
        {
            events.Clear();
            await reader.ReadAsync(events, options.Value.KeepAlive, ct);
            foreach (var evt in events.Where(evt => !evt.IsTerminal))
                await replayed.EmitAsync(evt.Parse(), ct);
        }

        if (reader.IsLeft)
            throw RunErrors.Left(run);
        return (replayed, events.Count == 0 ? throw RunErrors.NotFound() : events[^1].Parse());
    }

    private RunEventStream Open(RunId id, RunReader reader, RunHandle? started, OnDisconnect onDisconnect) =>
        new(id, reader, started, onDisconnect, options.Value.FirstByteHold, options.Value.KeepAlive, time, lifetime.ApplicationStopping);
}
