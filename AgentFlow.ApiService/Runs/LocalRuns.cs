using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using AgentFlow.Contracts;

namespace AgentFlow.ApiService.Runs;

/// <summary>The runs that this process holds the lease of, and the name under which it holds them.</summary>
internal sealed class LocalRuns
{
    private readonly ConcurrentDictionary<RunId, RunHandle> _runs = new();

    /// <summary>This process in <c>run_hosts</c>; a new one after its lease was lost.</summary>
    public Guid HostId { get; set; } = Guid.CreateVersion7();

    /// <summary>Living processes beside this one, as of the last heartbeat: while it is 0 nobody has to be notified.</summary>
    public int OtherHosts { get; set; }

    public int Count => _runs.Count;

    public ICollection<RunHandle> All => _runs.Values;

    public void Add(RunHandle run) => _runs[run.RunId] = run;

    public void Remove(RunHandle run) => _runs.TryRemove(new(run.RunId, run));

    public bool TryFind(RunId id, [NotNullWhen(true)] out RunHandle? run) => _runs.TryGetValue(id, out run);

    public Guid[] Ids() => [.. _runs.Keys.Select(id => id.Value)];
}
