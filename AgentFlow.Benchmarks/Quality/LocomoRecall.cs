namespace AgentFlow.Benchmarks.Quality;

/// <summary>Found evidence turns of all evidence turns, averaged over the questions, by category and depth.</summary>
internal sealed class LocomoRecall
{
    internal const int Top = 10;
    internal const int Deep = 50;

    private static readonly string[] Categories = ["all", "multi-hop", "temporal", "open-domain", "single-hop"];

    private readonly double[] _top = new double[Categories.Length];
    private readonly double[] _deep = new double[Categories.Length];
    private readonly int[] _questions = new int[Categories.Length];

    internal void Add(LocomoQuestion question, IEnumerable<Guid> ranked)
    {
        var ids = ranked.Take(Deep).ToList();
        Add(question, ids, ids);
    }

    /// <param name="top">Found by a search for <see cref="Top"/>, best first.</param>
    /// <param name="deep">Found by one for <see cref="Deep"/>.</param>
    internal void Add(LocomoQuestion question, IEnumerable<Guid> top, IEnumerable<Guid> deep)
    {
        var (first, all) = (top.Take(Top).ToList(), deep.Take(Deep).ToList());
        foreach (var category in (int[])[0, question.Category])
        {
            _top[category] += first.Count(question.Gold.Contains) / (double)question.Gold.Count;
            _deep[category] += all.Count(question.Gold.Contains) / (double)question.Gold.Count;
            _questions[category]++;
        }
    }

    internal double At(int category, int depth) => 100 * (depth == Top ? _top : _deep)[category] / Math.Max(1, _questions[category]);

    internal static void PrintHead() => Console.WriteLine($"{"recall@10 / @50, %",-20}{string.Concat(Categories.Select(name => $"{name,16}"))}");

    internal void Print(string name) =>
        Console.WriteLine($"{name,-20}{string.Concat(Enumerable.Range(0, Categories.Length).Select(category => $"{At(category, Top),8:F1} /{At(category, Deep),6:F1}"))}");

    /// <returns>0 when the goals are met: 70 and 85, and no category below BM25 alone.</returns>
    internal int Judge(LocomoRecall words)
    {
        var isMet = At(0, Top) >= 70 && At(0, Deep) >= 85
            && Enumerable.Range(1, 4).All(category => At(category, Top) >= words.At(category, Top) && At(category, Deep) >= words.At(category, Deep));
        Console.WriteLine(isMet ? "goal met: 70 / 85, and no category below BM25 alone" : "goal missed: 70 / 85, and no category below BM25 alone");
        return isMet ? 0 : 1;
    }
}
