namespace AgentFlow.ApiService.Runs;

/// <summary>Takes what other processes were handed for the runs of this one.</summary>
internal sealed class RunInbox(RunStore store, LocalRuns local)
{
    public async Task TakeAsync(CancellationToken ct)
    {
        foreach (var (id, context) in await store.TakeContextAsync(local.HostId, local.Ids(), ct))
        {
            if (local.TryFind(id, out var run))
                run.Additions.Add(context);
        }
    }
}
