namespace AgentFlow.Retrieval.Index.InProcess;

/// <summary>Keeps the k best rows by score; of equal scores the earlier row wins, so that results do not depend on timing.</summary>
internal struct TopK(int capacity)
{
    private readonly (float Score, int Row)[] _heap = new (float, int)[capacity];
    private int _count;

    public readonly int Count => _count;

    /// <summary>A row with a lower score can't enter any more; negative infinity until k rows are in.</summary>
    public readonly float Floor => _count == capacity ? _heap[0].Score : float.NegativeInfinity;

    /// <summary>In no order.</summary>
    public readonly ReadOnlySpan<(float Score, int Row)> Items => _heap.AsSpan(0, _count);

    /// <summary>Rows must come in ascending order.</summary>
    public void Add(float score, int row)
    {
        if (_count < capacity)
        {
            _heap[_count] = (score, row);
            SiftUp(_count++);
        }
        else if (score > _heap[0].Score)
        {
            _heap[0] = (score, row);
            SiftDown();
        }
    }

    private readonly void SiftUp(int i)
    {
        while (i > 0)
        {
            var parent = (i - 1) / 2;
            if (!IsWorse(_heap[i], _heap[parent]))
                return;
            (_heap[i], _heap[parent]) = (_heap[parent], _heap[i]);
            i = parent;
        }
    }

    private readonly void SiftDown()
    {
        var i = 0;
        while (true)
        {
            var child = (2 * i) + 1;
            if (child >= _count)
                return;
            if (child + 1 < _count && IsWorse(_heap[child + 1], _heap[child]))
                child++;
            if (!IsWorse(_heap[child], _heap[i]))
                return;
            (_heap[i], _heap[child]) = (_heap[child], _heap[i]);
            i = child;
        }
    }

    private static bool IsWorse((float Score, int Row) x, (float Score, int Row) y) => x.Score < y.Score || (x.Score == y.Score && x.Row > y.Row);
}
