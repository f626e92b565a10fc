using System.Text.Json;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.Retrieval.Index.Qdrant;

/// <summary>
/// One search: a batch of the dense and the lexical query, then a second one for the scores that the first left open (a hit of one way
/// that is not among the best of the other) and for what turns say of themselves, and a third for turns beside turns. Never more round trips,
/// whatever the number of hits. Reading a payload costs Qdrant many times what a score costs: only those of turns are read.
/// </summary>
internal sealed class QdrantSearch(QdrantClient client, string collection, Guid ownerId, IndexQuery query, IReadOnlySet<string> ownColumns)
{
    /// <summary>Neighbours are fetched for this many of each way's best hits; those of worse ones can't lift anything into the results.</summary>
    private const int HitsWithNeighbours = 30;

    /// <summary>Neighbours are looked for within this distance of position; a session's turns are usually numbered close to each other.</summary>
    private const int Window = 16;

    private const int MaxWindowed = 2_000;

    /// <summary>Of 100,000 points the best 50 by whole vectors are among the best 200 by bytes, but for one in a thousand.</summary>
    private const double Oversampling = 4;

    /// <summary>While a large document is taken away, a search may meet its passages in the moment of their deletion more than once.</summary>
    private const int MostAgain = 8;

    private readonly Dictionary<Guid, Found> _found = new(query.Limit * 2);
    private readonly ReadOnlyMemory<float>? _vector = query.Vector is { Length: > 0 } ? query.Vector : null;
    private bool _lostSome;
    private readonly IReadOnlyList<uint> _terms = query.Text is null ? [] : Analyzer.Query(query.Text);

    public async Task<IReadOnlyList<IndexHit>> RunAsync(CancellationToken ct)
    {
        var ways = Ways().ToList();
        var best = await QueryAsync(ways.Select(way => new Question(way, query.Limit, Reading.Stamp)), ct);
        for (var again = 0; _lostSome && again < MostAgain; again++)
        {
            _found.Clear();
            _lostSome = false;
            best = await QueryAsync(ways.Select(way => new Question(way, query.Limit, Reading.Stamp)), ct);
        }

        await QueryAsync(Second([.. ways.Where((_, i) => best[i].Count == query.Limit)]), ct);
        var windows = query.WithNeighbours ? Windows(best) : [];
        if (windows.Count > 0)
            await QueryAsync(Beside(ways, windows), ct);
        var around = query.WithNeighbours ? Around(windows) : [];
        return [.. _found.Values
            .Where(found => found.IsHit || around.ContainsKey(found.Id))
            .Select(found => new IndexHit(
                found.Id,
                found.Version,
                _vector is null ? null : found.Dense,
                query.Text is null ? null : found.Words ?? 0,
                found.Turn,
                around.GetValueOrDefault(found.Id)))];
    }

    private IEnumerable<string> Ways()
    {
        if (_vector is not null)
            yield return QdrantPoints.Dense;
        if (_terms.Count > 0)
            yield return QdrantPoints.Words;
    }

    /// <summary>What the first batch left open: a way that gave fewer than it was asked for has said all that it knows.</summary>
    private IEnumerable<Question> Second(List<string> ways)
    {
        foreach (var way in ways)
        {
            var open = _found.Values.Where(found => (way == QdrantPoints.Dense ? found.Dense : found.Words) is null).ToList();
            if (open.Count > 0)
                yield return new Question(way, open.Count, Reading.Score) { Further = writer => WriteIds(writer, open) };
        }

        var turns = _found.Values.Where(found => found.IsTurn).ToList();
        if (turns.Count > 0)
            yield return new Question(null, turns.Count, Reading.Turn) { Further = writer => WriteIds(writer, turns) };
    }

    /// <summary>Turns within the windows, first by themselves and then their scores.</summary>
    private static IEnumerable<Question> Beside(List<string> ways, List<Found> windows)
    {
        var limit = Math.Min(MaxWindowed, windows.Count * 2 * Window);
        Action<Utf8JsonWriter> within = writer => WriteWindows(writer, windows);
        return ways.Select(way => new Question(way, limit, Reading.Score) { Further = within })
            .Prepend(new Question(null, limit, Reading.Turn) { Further = within });
    }

    /// <summary>Asks everything at once and notes what comes back.</summary>
    /// <returns>The ids of each answer, best first.</returns>
    private async Task<List<List<Guid>>> QueryAsync(IEnumerable<Question> asked, CancellationToken ct)
    {
        var questions = asked.ToList();
        if (questions.Count == 0)
            return [];
        return await client.SendAsync(
            HttpMethod.Post, $"/collections/{collection}/points/query/batch", writer => WriteBatch(writer, questions), answer => Read(QdrantHits.Read(answer), questions), ct);
    }

    private List<List<Guid>> Read(List<List<QdrantHit>> results, List<Question> questions) => results.Count == questions.Count
        ? [.. results.Zip(questions, (hits, question) => hits.ConvertAll(hit => Note(hit, question)))]
        : throw new InvalidOperationException($"{questions.Count} queries have {results.Count} results");

    private Guid Note(in QdrantHit hit, Question question)
    {
        var id = hit.Id;
        var found = _found.GetValueOrDefault(id);
        if (question.Reading == Reading.Turn)
        {
            var payload = hit.Payload ?? throw new InvalidOperationException("a turn has no payload");
            if (found is null)
                _found[id] = found = new Found(id, payload.GetProperty(QdrantPoints.Version).GetInt64(), isTurn: true);
            found.Turn = QdrantPoints.ReadTurn(payload);
        }
        else if (question.Reading == Reading.Stamp)
        {
            // Deleted since it was found: a tombstone has no vectors. It took the place of another, so the best are asked for again.
            if (hit.Stamp is not { } stamp)
            {
                _lostSome = true;
                return id;
            }

            if (found is null)
                _found[id] = found = new Found(id, stamp.Version, stamp.IsTurn);

            found.IsHit = true;
        }

        // A turn that came between two questions of one batch is nobody's neighbour yet.
        if (found is null || question.Way is null)
            return id;
        var score = hit.Score ?? throw new InvalidOperationException("a hit has no score");
        if (question.Way == QdrantPoints.Dense)
            found.Dense = score;
        else
            found.Words = score;
        return id;
    }

    private void WriteBatch(Utf8JsonWriter writer, List<Question> questions)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("searches");
        foreach (var question in questions)
            WriteQuestion(writer, question);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private void WriteQuestion(Utf8JsonWriter writer, Question question)
    {
        writer.WriteStartObject();
        if (question.Way is { } way)
        {
            writer.WritePropertyName("query");
            if (way == QdrantPoints.Words)
                QdrantPoints.WriteSparse(writer, _terms.Select(term => (term, 1f)));
            else
                VectorJson.Write(writer, _vector!.Value.Span);
            writer.WriteString("using", way);
        }

        writer.WriteNumber("limit", question.Limit);

        // Words are always compared exactly.
        if (question.Way == QdrantPoints.Dense)
            WriteParams(writer, question);
        if (question.Reading == Reading.Stamp)
            WriteNames(writer, "with_vector", [QdrantPoints.Stamp]);
        else if (question.Reading == Reading.Turn)
            WriteNames(writer, "with_payload", QdrantPoints.TurnFields);
        QdrantPoints.WriteOwnerFilter(writer, ownerId, query.Filter, ownColumns, question.Further);
        writer.WriteEndObject();
    }

    private static void WriteNames(Utf8JsonWriter writer, string property, string[] names)
    {
        writer.WriteStartArray(property);
        foreach (var name in names)
            writer.WriteStringValue(name);
        writer.WriteEndArray();
    }

    /// <summary>
    /// Large segments are compared by their signed bytes, and four times as many as are asked for are then scored by the whole vectors; small ones
    /// have no bytes and are compared exactly. So is what is looked up by id or place.
    /// </summary>
    private static void WriteParams(Utf8JsonWriter writer, Question question)
    {
        writer.WriteStartObject("params");
        if (question.Further is null)
        {
            writer.WriteStartObject("quantization");
            writer.WriteBoolean("rescore", true);
            writer.WriteNumber("oversampling", Oversampling);
            writer.WriteEndObject();
        }
        else
        {
            writer.WriteBoolean("exact", true);
        }

        writer.WriteEndObject();
    }

    private List<Found> Windows(List<List<Guid>> ways) =>
        [.. ways.SelectMany(way => way.Take(HitsWithNeighbours)).Distinct().Select(id => _found.GetValueOrDefault(id)).OfType<Found>().Where(found => found.Turn is not null)];

    private static void WriteIds(Utf8JsonWriter writer, List<Found> open)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("has_id");
        foreach (var found in open)
            writer.WriteStringValue(found.Id);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteWindows(Utf8JsonWriter writer, List<Found> windows)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("should");
        foreach (var (session, low, high) in windows.GroupBy(found => found.Turn!.Session).SelectMany(Merge))
        {
            writer.WriteStartObject();
            writer.WriteStartArray("must");
            QdrantPoints.WriteMatch(writer, QdrantPoints.Session, session);
            QdrantPoints.WriteRange(writer, QdrantPoints.Position, low, high + 1);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>Windows of one session that touch become one.</summary>
    private static IEnumerable<(string Session, long Low, long High)> Merge(IGrouping<string, Found> session)
    {
        (long Low, long High)? current = null;
        foreach (var position in session.Select(found => found.Turn!.Position).Order())
        {
            if (current is { } open && position - Window <= open.High)
            {
                current = (open.Low, position + Window);
                continue;
            }

            if (current is { } done)
                yield return (session.Key, done.Low, done.High);
            current = (position - Window, position + Window);
        }

        if (current is { } last)
            yield return (session.Key, last.Low, last.High);
    }

    /// <summary>Who stands beside whom, for the windows' hits and their neighbours.</summary>
    private Dictionary<Guid, TurnNeighbours> Around(List<Found> windows)
    {
        var around = new Dictionary<Guid, TurnNeighbours>();
        var centres = windows.Select(found => found.Id).ToHashSet();
        foreach (var session in _found.Values.Where(found => found.Turn is not null).GroupBy(found => found.Turn!.Session))
        {
            var turns = session.OrderBy(found => found.Turn!.Position).ToList();
            for (var i = 0; i < turns.Count; i++)
            {
                if (Enumerable.Range(i - 2, 5).Any(place => place >= 0 && place < turns.Count && centres.Contains(turns[place].Id)))
                    around[turns[i].Id] = new TurnNeighbours(At(i - 2), At(i - 1), At(i + 1), At(i + 2));
            }

            Guid? At(int place) => place >= 0 && place < turns.Count ? turns[place].Id : null;
        }

        return around;
    }

    /// <summary>What is read of each point beside its score.</summary>
    private enum Reading
    {
        /// <summary>Nothing: it is known already.</summary>
        Score,

        /// <summary>Its version and whether it is a turn.</summary>
        Stamp,

        /// <summary>All that a turn says of itself.</summary>
        Turn,
    }

    /// <param name="Way">Name of the vector that is compared; null when points are only read.</param>
    private sealed record Question(string? Way, int Limit, Reading Reading)
    {
        /// <summary>Writes a condition beside the owner's and the query's own: which points are looked up.</summary>
        public Action<Utf8JsonWriter>? Further { get; init; }
    }

    private sealed class Found(Guid id, long version, bool isTurn)
    {
        public Guid Id => id;

        public long Version => version;

        public bool IsTurn => isTurn;

        public Turn? Turn { get; set; }

        public double? Dense { get; set; }

        public double? Words { get; set; }

        /// <summary>Among the best of one of the ways, not only looked up beside them.</summary>
        public bool IsHit { get; set; }
    }
}
