using System.Text.Json;

namespace AgentFlow.ApiService.Runs;

/// <summary>What somebody adds to a run while it goes on, until the agent takes it before its next call of the model. Thread-safe.</summary>
internal sealed class RunAdditions
{
    /// <summary>Additions to one run altogether; with 32 KiB each they stay within the prompt of any model that is worth it.</summary>
    public const int Max = 8;

    private readonly Lock _gate = new();
    private readonly Queue<JsonElement> _waiting = new();
    private int _count;

    /// <summary>Not taken yet.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate)
                return _waiting.Count;
        }
    }

    /// <returns>False when the run has had as many as it may.</returns>
    public bool TryAdd(JsonElement context)
    {
        lock (_gate)
        {
            if (_count == Max)
                return false;
            _count++;
            _waiting.Enqueue(context);
            return true;
        }
    }

    /// <summary>In the order in which they came; each once.</summary>
    public IReadOnlyList<JsonElement> Take()
    {
        lock (_gate)
        {
            if (_waiting.Count == 0)
                return [];
            JsonElement[] taken = [.. _waiting];
            _waiting.Clear();
            return taken;
        }
    }
}
