using System.Collections.Concurrent;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.Retrieval.Index.InProcess;

/// <summary>The rows that hold a term, ascending; one writer, readers without a lock.</summary>
internal sealed class PostingList
{
    private Posting[] _items = new Posting[2];
    private int _count;

    public int Count => Volatile.Read(ref _count);

    /// <summary>The postings of rows before <paramref name="rows"/>, which is what the reader's snapshot shows.</summary>
    public ReadOnlySpan<Posting> Before(int rows)
    {
        var count = Volatile.Read(ref _count);
        var items = Volatile.Read(ref _items);
        while (count > 0 && items[count - 1].Row >= rows)
            count--;
        return items.AsSpan(0, count);
    }

    public void Append(int row, ushort count)
    {
        if (_count == _items.Length)
        {
            var larger = new Posting[_items.Length * 2];
            _items.CopyTo(larger, 0);
            Volatile.Write(ref _items, larger);
        }

        _items[_count] = new Posting(row, count);
        Volatile.Write(ref _count, _count + 1);
    }
}

internal readonly record struct Posting(int Row, ushort Count);

/// <summary>Term to rows, for one owner.</summary>
internal sealed class Postings
{
    private readonly ConcurrentDictionary<uint, PostingList> _lists = new(concurrencyLevel: 1, capacity: 31);

    public void Append(int row, TermVector text)
    {
        foreach (var (term, count) in text.Terms)
            _lists.GetOrAdd(term, static _ => new PostingList()).Append(row, count);
    }

    /// <summary>Takes over the postings of rows that live on under new numbers, which ascend as the old ones do.</summary>
    /// <param name="moved">By old row: the new one, or -1.</param>
    public void CopyMoved(Postings old, int rows, int[] moved)
    {
        foreach (var (term, list) in old._lists)
        {
            var copy = new PostingList();
            foreach (var (row, count) in list.Before(rows))
            {
                if (moved[row] >= 0)
                    copy.Append(moved[row], count);
            }

            if (copy.Count > 0)
                _lists[term] = copy;
        }
    }

    public PostingList? Find(uint term) => _lists.GetValueOrDefault(term);
}

/// <summary>The turns of one session; one writer, readers without a lock.</summary>
internal sealed class SessionTurns
{
    private (long Position, int Row)[] _items = new (long, int)[4];
    private int _count;
    private bool _isUnordered;

    public void Append(long position, int row)
    {
        if (_count == _items.Length)
        {
            var larger = new (long, int)[_items.Length * 2];
            _items.CopyTo(larger, 0);
            Volatile.Write(ref _items, larger);
        }

        if (_count > 0 && position < _items[_count - 1].Position)
            Volatile.Write(ref _isUnordered, true);
        _items[_count] = (position, row);
        Volatile.Write(ref _count, _count + 1);
    }

    /// <summary>The two visible rows before a position and the two after it; -1 where there is none.</summary>
    public (int SecondBefore, int Before, int After, int SecondAfter) Around<TVisible>(long position, TVisible visible)
        where TVisible : struct, IRowPredicate
    {
        var count = Volatile.Read(ref _count);
        var items = Volatile.Read(ref _items).AsSpan(0, count);
        if (Volatile.Read(ref _isUnordered))
        {
            var sorted = items.ToArray();
            Array.Sort(sorted);
            items = sorted;
        }

        var found = (SecondBefore: -1, Before: -1, After: -1, SecondAfter: -1);
        var middle = LowerBound(items, position);
        for (var i = middle - 1; i >= 0 && found.SecondBefore < 0; i--)
        {
            if (visible.Holds(items[i].Row))
                (found.Before, found.SecondBefore) = found.Before < 0 ? (items[i].Row, -1) : (found.Before, items[i].Row);
        }

        for (var i = middle; i < items.Length && found.SecondAfter < 0; i++)
        {
            if (items[i].Position > position && visible.Holds(items[i].Row))
                (found.After, found.SecondAfter) = found.After < 0 ? (items[i].Row, -1) : (found.After, items[i].Row);
        }

        return found;
    }

    private static int LowerBound(ReadOnlySpan<(long Position, int Row)> items, long position)
    {
        var (low, high) = (0, items.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (items[middle].Position < position)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}

internal interface IRowPredicate
{
    bool Holds(int row);
}
