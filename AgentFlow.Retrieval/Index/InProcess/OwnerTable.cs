using System.Collections.Concurrent;
using System.Text.Json;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.Retrieval.Index.InProcess;

/// <summary>
/// One owner's points in memory. Writers take turns; readers take <see cref="Current"/> and never wait. A change appends a row and marks the
/// old one as dead; when dead rows pile up the table is rewritten, beside the readers of the old one.
/// </summary>
internal sealed class OwnerTable
{
    private const int FirstCapacity = 16;
    private const int MinDeadToCompact = 1_024;

    private readonly Lock _writing = new();
    private readonly int _dimensions;
    private readonly Dictionary<Guid, long> _tombstones = [];
    private Dictionary<Guid, int> _rows = [];
    private TableSnapshot _current;
    private long _rowBytes;

    public OwnerTable(int dimensions)
    {
        _dimensions = dimensions;
        _current = Empty();
    }

    public TableSnapshot Current => Volatile.Read(ref _current);

    /// <summary>An estimate, without what fields hold (they may be shared).</summary>
    public long Bytes
    {
        get
        {
            var current = Current;
            return current.Vectors.Bytes + (current.Ids.LongLength * 64) + Volatile.Read(ref _rowBytes);
        }
    }

    /// <summary>Readers see all of the writes or none.</summary>
    public void Apply(IReadOnlyList<IndexWrite> writes)
    {
        // Refused before anything changes: a half-applied batch would leave rows that no reader is shown.
        foreach (var write in writes)
        {
            if (write is IndexWrite.Put { Point.Vector.Length: > 0 and var length } && length != _dimensions)
                throw new ArgumentException($"Point {write.Id} has {length} dimensions, the index {_dimensions}.", nameof(writes));
        }

        lock (_writing)
        {
            var builder = new Builder(_current);
            foreach (var write in writes)
            {
                if (KnownVersion(builder, write.Id) >= write.Version)
                    continue;
                if (_rows.Remove(write.Id, out var old))
                    builder.Kill(old);
                if (write is IndexWrite.Put put)
                {
                    _tombstones.Remove(write.Id);
                    _rows[write.Id] = builder.Append(put.Point);
                    _rowBytes += BytesOfRow(put.Point.Text.Length);
                }
                else
                {
                    _tombstones[write.Id] = write.Version;
                }
            }

            Volatile.Write(ref _current, builder.Finish());
            if (_current.Rows - _current.LiveRows > Math.Max(MinDeadToCompact, _current.LiveRows / 3))
                Compact();
        }
    }

    public void Purge(IEnumerable<IndexEntry> tombstones)
    {
        lock (_writing)
        {
            foreach (var entry in tombstones)
            {
                if (_tombstones.TryGetValue(entry.Id, out var version) && version <= entry.Version)
                    _tombstones.Remove(entry.Id);
            }
        }
    }

    public List<IndexEntry> Entries(Guid ownerId)
    {
        lock (_writing)
        {
            var entries = new List<IndexEntry>(_rows.Count + _tombstones.Count);
            foreach (var (id, row) in _rows)
                entries.Add(new IndexEntry(ownerId, id, _current.Versions[row]));
            foreach (var (id, version) in _tombstones)
                entries.Add(new IndexEntry(ownerId, id, version, Deleted: true));
            return entries;
        }
    }

    /// <summary>Postings (8 bytes and slack for each different word of about six characters) and the dictionary's entry.</summary>
    private static long BytesOfRow(int textLength) => 128 + (textLength * 2);

    private long KnownVersion(Builder builder, Guid id) =>
        _rows.TryGetValue(id, out var row) ? builder.VersionOf(row) : _tombstones.GetValueOrDefault(id);

    private void Compact()
    {
        var old = _current;
        var builder = new Builder(Empty());
        var rows = new Dictionary<Guid, int>(_rows.Count);
        foreach (var (id, row) in _rows.OrderBy(each => each.Value))
            rows[id] = builder.Copy(old, row);
        builder.CopyPostings(old, _rows, rows);
        _rows = rows;
        Volatile.Write(ref _current, builder.Finish());
    }

    private TableSnapshot Empty() => new()
    {
        Generation = 0,
        Rows = 0,
        LiveRows = 0,
        LiveLength = 0,
        Ids = new Guid[FirstCapacity],
        Versions = new long[FirstCapacity],
        Lengths = new int[FirstCapacity],
        DiedAt = new int[FirstCapacity],
        Fields = new IReadOnlyDictionary<string, JsonElement>[FirstCapacity],
        Turns = new Turn?[FirstCapacity],
        Vectors = new VectorColumn(_dimensions),
        Postings = new Postings(),
        Sessions = new ConcurrentDictionary<string, SessionTurns>(concurrencyLevel: 1, capacity: 3, StringComparer.Ordinal),
        Masks = new FilterMasks(),
    };

    /// <summary>Collects one generation behind the rows that readers see.</summary>
    private sealed class Builder(TableSnapshot from)
    {
        private readonly int _generation = from.Generation + 1;
        private int _rows = from.Rows;
        private int _liveRows = from.LiveRows;
        private long _liveLength = from.LiveLength;
        private Guid[] _ids = from.Ids;
        private long[] _versions = from.Versions;
        private int[] _lengths = from.Lengths;
        private int[] _diedAt = from.DiedAt;
        private IReadOnlyDictionary<string, JsonElement>[] _fields = from.Fields;
        private Turn?[] _turns = from.Turns;

        public long VersionOf(int row) => _versions[row];

        public int Append(IndexPoint point)
        {
            var terms = Analyzer.Index(point.Text);
            var row = AppendRow(point.Id, point.Version, terms.Length, point.Fields, point.Turn, point.Vector.Span);
            from.Postings.Append(row, terms);
            return row;
        }

        public int Copy(TableSnapshot old, int row) =>
            AppendRow(old.Ids[row], old.Versions[row], old.Lengths[row], old.Fields[row], old.Turns[row], old.Vectors.Read(row));

        public void CopyPostings(TableSnapshot old, Dictionary<Guid, int> oldRows, Dictionary<Guid, int> newRows)
        {
            var moved = new int[old.Rows];
            Array.Fill(moved, -1);
            foreach (var (id, row) in oldRows)
                moved[row] = newRows[id];
            from.Postings.CopyMoved(old.Postings, old.Rows, moved);
        }

        public void Kill(int row)
        {
            Volatile.Write(ref _diedAt[row], _generation);
            _liveRows--;
            _liveLength -= _lengths[row];
        }

        public TableSnapshot Finish() => new()
        {
            Generation = _generation,
            Rows = _rows,
            LiveRows = _liveRows,
            LiveLength = _liveLength,
            Ids = _ids,
            Versions = _versions,
            Lengths = _lengths,
            DiedAt = _diedAt,
            Fields = _fields,
            Turns = _turns,
            Vectors = from.Vectors,
            Postings = from.Postings,
            Sessions = from.Sessions,
            Masks = from.Masks,
        };

        private int AppendRow(Guid id, long version, int length, IReadOnlyDictionary<string, JsonElement> fields, Turn? turn, ReadOnlySpan<float> vector)
        {
            if (_rows == _ids.Length)
                Grow();
            var row = _rows++;
            _ids[row] = id;
            _versions[row] = version;
            _lengths[row] = length;
            _diedAt[row] = int.MaxValue;
            _fields[row] = fields;
            _turns[row] = turn;
            from.Vectors.Append(row, vector);
            if (turn is not null)
                from.Sessions.GetOrAdd(turn.Session, static _ => new SessionTurns()).Append(turn.Position, row);
            _liveRows++;
            _liveLength += length;
            return row;
        }

        private void Grow()
        {
            var capacity = _ids.Length * 2;
            Array.Resize(ref _ids, capacity);
            Array.Resize(ref _versions, capacity);
            Array.Resize(ref _lengths, capacity);
            Array.Resize(ref _diedAt, capacity);
            Array.Resize(ref _fields, capacity);
            Array.Resize(ref _turns, capacity);
        }
    }
}
