using System.Text.Json;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.ApiService.Runs;

/// <summary>What somebody adds to a run while it goes on, until the agent takes it before its next call of the model. Thread-safe.</summary>
internal sealed class RunAdditions
{
    /// <summary>Additions to one run altogether; with 32 KiB each they stay within the prompt of any model that is worth it.</summary>
    public const int Max = 8;

    private readonly Lock _gate = new();
    private readonly Queue<JsonElement> _waiting = new();

    /// <summary>Not taken yet.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate)
                return _waiting.Count;
        }
    }

    public void Add(JsonElement context)
    {
        lock (_gate)
            _waiting.Enqueue(context);
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

    /// <summary>What was handed in and is not in the log: the model of the process before was not told of it.</summary>
    public static IReadOnlyList<JsonElement> Left(IEnumerable<JsonElement> handedIn, IEnumerable<RunEvent> log)
    {
        var left = handedIn.ToList();
        foreach (var told in log.OfType<ContextAdded>())
        {
            var index = left.FindIndex(each => JsonElement.DeepEquals(each, told.Context));
            if (index >= 0)
                left.RemoveAt(index);
        }

        return left;
    }
}
