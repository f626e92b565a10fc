using System.Collections.Concurrent;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.Retrieval.Index.InProcess;

/// <summary>
/// Which rows match a filter, as bits. A row's fields never change (a change is a new row), so a mask stays right for ever and only grows;
/// the most recently used ones are kept. Says nothing about whether a row lives.
/// </summary>
internal sealed class FilterMasks
{
    private const int Kept = 64;

    private readonly ConcurrentDictionary<string, Mask> _masks = new(StringComparer.Ordinal);
    private long _clock;

    public ulong[] For(FilterExpression filter, TableSnapshot table)
    {
        var key = FilterText.Canonical(filter);
        _masks.TryGetValue(key, out var known);
        if (known is null || known.Rows < table.Rows)
        {
            known = Extend(known, filter, table);
            _masks[key] = known;
            if (_masks.Count > Kept)
                DropOldest();
        }

        Volatile.Write(ref known.LastUsed, Interlocked.Increment(ref _clock));
        return known.Bits;
    }

    private static Mask Extend(Mask? known, FilterExpression filter, TableSnapshot table)
    {
        var bits = new ulong[(table.Rows + 63) / 64];
        known?.Bits.CopyTo(bits, 0);
        for (var row = known?.Rows ?? 0; row < table.Rows; row++)
        {
            if (filter.Matches(table.Fields[row]))
                bits[row / 64] |= 1UL << (row % 64);
        }

        return new Mask(bits, table.Rows);
    }

    private void DropOldest()
    {
        foreach (var (key, _) in _masks.OrderBy(each => Volatile.Read(ref each.Value.LastUsed)).Take(_masks.Count - (Kept / 2)).ToList())
            _masks.TryRemove(key, out _);
    }

    private sealed class Mask(ulong[] bits, int rows)
    {
        public long LastUsed;

        /// <summary>May show rows that a reader's snapshot does not have yet.</summary>
        public ulong[] Bits => bits;

        public int Rows => rows;
    }
}
