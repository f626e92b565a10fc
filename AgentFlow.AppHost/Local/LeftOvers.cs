using System.Text.Json;

namespace AgentFlow.AppHost.Local;

/// <summary>
/// One process that was started for a state folder. The start time tells it from a later one with the same id, the folder from the
/// process of another installation when the folder is a copy.
/// </summary>
internal sealed record LeftOver(string Name, int ProcessId, long StartTime, string Folder);

/// <summary>
/// The list of running children, kept in the state folder. They end by themselves when the AppHost dies; the list lets the next
/// start wait for them, and end what does not, before it opens the same database.
/// </summary>
internal sealed class LeftOvers(string folder)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly List<LeftOver> _running = [];

    private string FilePath => Path.Combine(folder, "processes.json");

    public void Add(string name, int processId)
    {
        if (Native.StartTime(processId) is not { } startTime)
            return;
        lock (_gate)
        {
            _running.Add(new LeftOver(name, processId, startTime, folder));
            Write();
        }
    }

    public void Remove(int processId)
    {
        lock (_gate)
        {
            _running.RemoveAll(each => each.ProcessId == processId);
            Write();
        }
    }

    /// <summary>Waits until everything on the list of an earlier run is gone; what stays for 5 s is killed with its group.</summary>
    public async Task EndEarlierAsync(Action<string> say, CancellationToken ct)
    {
        var earlier = Read().Where(IsAlive).ToList();
        if (earlier.Count == 0)
            return;
        say($"Waiting for processes of an earlier run to end: {string.Join(", ", earlier.Select(each => $"{each.Name} ({each.ProcessId})"))}");
        var since = TimeProvider.System.GetTimestamp();
        while (earlier.Exists(IsAlive) && TimeProvider.System.GetElapsedTime(since) < Patience)
            await Task.Delay(TimeSpan.FromMilliseconds(50), ct);
        foreach (var each in earlier.Where(IsAlive))
            Native.SignalGroup(each.ProcessId, Native.SigKill);
    }

    private bool IsAlive(LeftOver process) => process.Folder == folder && Native.StartTime(process.ProcessId) == process.StartTime;

    private List<LeftOver> Read()
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(FilePath), StateJson.Default.ListLeftOver) ?? [];
        }
        catch (Exception failure) when (failure is FileNotFoundException or JsonException)
        {
            return [];
        }
    }

    private void Write()
    {
        var unfinished = FilePath + ".new";
        File.WriteAllBytes(unfinished, JsonSerializer.SerializeToUtf8Bytes(_running, StateJson.Default.ListLeftOver));
        File.Move(unfinished, FilePath, overwrite: true);
    }
}
