using System.Text.RegularExpressions;
using AgentFlow.Retrieval.Chunking;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Ranking;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.Benchmarks.Documents;

/// <summary>
/// Recall on a labelled set that is derived from public texts at hand: the licences that Debian ships (GPL 2 and 3, LGPL, Apache, MPL, ...),
/// the SPDX-like ones beside them, and this repository's own documents. Each question is made from one sentence of a passage: most common words
/// dropped, inflections changed, words put in another order and a part of them replaced by near synonyms, so that its wording differs. Gold is
/// the passage. Seeded, so that every run asks the same. The table has BM25 alone, dense alone and the fusion that searches use.
/// </summary>
internal static partial class DocumentQuality
{
    private const int Questions = 600;
    private const int Candidates = 50;

    /// <summary>Where recall@10 stands in a row.</summary>
    private const int AtTen = 2;
    private const string Licences = "/usr/share/common-licenses";

    private static readonly Dictionary<string, string> Synonyms = new(StringComparer.OrdinalIgnoreCase)
    {
        ["copy"] = "duplicate", ["copies"] = "duplicates", ["modify"] = "change", ["modified"] = "changed", ["modification"] = "alteration", ["distribute"] = "hand out",
        ["distribution"] = "handing out", ["program"] = "software", ["software"] = "code", ["warranty"] = "guarantee", ["liable"] = "responsible", ["damages"] = "losses",
        ["terms"] = "conditions", ["conditions"] = "terms", ["permission"] = "consent", ["grant"] = "give", ["granted"] = "given", ["must"] = "have to", ["provide"] = "supply",
        ["provided"] = "supplied", ["receive"] = "get", ["recipient"] = "receiver", ["source"] = "original", ["patent"] = "invention right", ["author"] = "writer", ["user"] = "person",
        ["users"] = "people", ["service"] = "server", ["start"] = "launch", ["stop"] = "end", ["file"] = "document", ["files"] = "documents", ["answer"] = "reply", ["test"] = "check",
        ["run"] = "execute", ["runs"] = "executes", ["error"] = "failure", ["errors"] = "failures", ["limit"] = "bound", ["name"] = "title", ["work"] = "creation", ["works"] = "creations",
        ["require"] = "demand", ["required"] = "demanded", ["include"] = "contain", ["includes"] = "contains", ["including"] = "containing", ["notice"] = "note", ["fee"] = "charge",
    };

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var passages = Load();
        if (passages.Select(passage => passage.Source).Distinct(StringComparer.Ordinal).Count() < 3)
        {
            Console.WriteLine($"Three texts are needed: {Licences} and this repository's documents were looked for.");
            return 2;
        }

        var index = new InProcessIndex(new Passages(passages), HashingEmbeddingGenerator.Space.Dimensions, new InProcessIndexOptions());
        var questions = Ask(passages);
        var (words, dense, ours) = (new int[4], new int[4], new int[4]);
        foreach (var (question, gold) in questions)
        {
            var vector = HashingEmbeddingGenerator.Embed(question);
            var hits = await index.SearchAsync(Guid.AllBitsSet, new IndexQuery { Text = question, Vector = vector, Limit = Candidates }, ct);
            Count(words, hits.OrderByDescending(hit => hit.Bm25 ?? 0).Select(hit => hit.Id), gold);
            Count(dense, hits.OrderByDescending(hit => hit.Dense ?? 0).Select(hit => hit.Id), gold);
            Count(ours, RankFusion.Rank([.. hits.Select(RankCandidate.From)], RankWeights.For(HashingEmbeddingGenerator.Space)).Select(each => each.Candidate.Id), gold);
        }

        Console.WriteLine($"{passages.Select(passage => passage.Source).Distinct(StringComparer.Ordinal).Count()} texts, {passages.Count} passages, {questions.Count} questions; {HashingEmbeddingGenerator.Space.Dimensions} dimensions");
        Console.WriteLine($"{"recall, %",-14}{"@1",8}{"@3",8}{"@10",8}{"@30",8}");
        Print("BM25 alone", words, questions.Count);
        Print("dense alone", dense, questions.Count);
        Print("ours", ours, questions.Count);
        return ours[AtTen] >= Math.Max(words[AtTen], dense[AtTen]) ? 0 : 1;
    }

    private static void Print(string name, int[] found, int total) =>
        Console.WriteLine($"{name,-14}{string.Concat(found.Select(count => $"{100.0 * count / total,8:0.0}"))}");

    private static void Count(int[] found, IEnumerable<Guid> ranked, Guid gold)
    {
        var place = ranked.Take(30).ToList().IndexOf(gold);
        foreach (var (i, depth) in ((int, int)[])[(0, 1), (1, 3), (2, 10), (3, 30)])
            found[i] += place >= 0 && place < depth ? 1 : 0;
    }

    private static List<Passage> Load()
    {
        var passages = new List<Passage>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var files = (Directory.Exists(Licences) ? Directory.GetFiles(Licences).Where(file => new FileInfo(file).LinkTarget is null) : [])
            .Concat(Repository() is { } root ? Directory.GetFiles(root, "*.md").Concat(Directory.Exists($"{root}/docs") ? Directory.GetFiles($"{root}/docs", "*.md", SearchOption.AllDirectories) : []) : []);
        foreach (var file in files.Order(StringComparer.Ordinal))
        {
            var text = File.ReadAllText(file);
            var format = file.EndsWith(".md", StringComparison.Ordinal) ? TextFormat.Markdown : TextFormat.Plain;
            foreach (var chunk in StructureChunker.Chunk(text, format, new ChunkingOptions()))
            {
                // Licences quote each other: a passage that stands in two of them could not be the answer.
                var passage = text[chunk.Start..chunk.End];
                if (passage.Length > 200 && seen.Add(Spaces().Replace(passage, " ")))
                    passages.Add(new Passage(DeriveId(passages.Count), Path.GetFileName(file), passage));
            }
        }

        return passages;
    }

    private static List<(string Question, Guid Gold)> Ask(List<Passage> passages)
    {
        var random = new Random(1);
        var questions = new List<(string, Guid)>();
        for (var attempt = 0; questions.Count < Questions && attempt < Questions * 20; attempt++)
        {
            var passage = passages[random.Next(passages.Count)];
            var sentences = SentenceSplitter.Split(passage.Text, 0, passage.Text.Length).Where(sentence => sentence.End - sentence.Start is >= 80 and <= 400).ToList();
            if (sentences.Count == 0)
                continue;
            var sentence = sentences[random.Next(sentences.Count)];
            var words = Words().Matches(passage.Text[sentence.Start..sentence.End]).Select(match => match.Value).Where(word => word.Length > 3).ToList();
            var kept = words.Where(_ => random.NextDouble() < 0.55).Select(word => Reword(word, random)).OrderBy(_ => random.Next()).Take(9).ToList();
            if (kept.Count >= 5)
                questions.Add(($"what about {string.Join(' ', kept)}?", passage.Id));
        }

        return questions;
    }

    private static string Reword(string word, Random random)
    {
        if (Synonyms.TryGetValue(word, out var other))
            return other;
        if (random.NextDouble() < 0.5 || word.Length < 6)
            return word.ToLowerInvariant();
        return word.EndsWith("ing", StringComparison.Ordinal) ? word[..^3] + "ed" : word.EndsWith("ed", StringComparison.Ordinal) ? word[..^2] + "ing"
            : word.EndsWith('s') ? word[..^1] : word + "s";
    }

    private static string? Repository()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "AgentFlow.sln")))
                return folder.FullName;
        }

        return null;
    }

    private static Guid DeriveId(int number) => new(number + 1, 0, 0, [0, 0, 0, 0, 0, 0, 0, 1]);

    [GeneratedRegex(@"\s+", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Spaces();

    [GeneratedRegex(@"\p{L}+", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Words();

    private sealed record Passage(Guid Id, string Source, string Text);

    private sealed class Passages(List<Passage> passages) : IIndexTruth
    {
        private static readonly Dictionary<string, System.Text.Json.JsonElement> NoFields = new(StringComparer.Ordinal);

        public async IAsyncEnumerable<IndexPoint> LoadAsync(Guid ownerId, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
        {
            await Task.Yield();
            foreach (var passage in passages)
                yield return new IndexPoint { Id = passage.Id, Version = 1, Vector = HashingEmbeddingGenerator.Embed(passage.Text), Text = passage.Text, Fields = NoFields };
        }

        public Task<IReadOnlyList<TruthPoint>> ReadAsync(IReadOnlyList<Guid> ids, CancellationToken ct) => throw new NotSupportedException();

        public Task<IReadOnlyList<IndexEntry>> PageAsync(Guid? after, int limit, TimeSpan settledFor, CancellationToken ct) => throw new NotSupportedException();
    }
}
