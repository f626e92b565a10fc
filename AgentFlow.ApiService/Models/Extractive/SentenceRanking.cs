using AgentFlow.ApiService.Context;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.ApiService.Models.Extractive;

/// <param name="Score">0 to 1: how much of the question's weight the sentence and its passage cover.</param>
internal sealed record RankedSentence(Passage Passage, TextSpan Span, double Score)
{
    public string Text => Passage.Text[Span.Start..Span.End];
}

/// <summary>
/// Ranks the sentences of passages by how well they answer a question: the share of the question's words that they hold, rare words
/// weighing more (inverse document frequency over the passages at hand), with a part for the whole passage, because a heading or the
/// sentence before often names the subject, and half of it for words that only the document's name holds. Pure; linear in the length.
/// </summary>
internal static class SentenceRanking
{
    /// <summary>A passage's own words count this much of a sentence's score; measured on licences and this repository's documents.</summary>
    private const double PassageShare = 0.3;

    /// <summary>Below this a sentence has too little of the question to be shown.</summary>
    public const double Threshold = 0.3;

    /// <summary>From here on it is taken as an answer, below as the nearest there is.</summary>
    public const double Confident = 0.5;

    /// <summary>Further sentences must come this close to the best.</summary>
    private const double Beside = 0.75;

    public static IReadOnlyList<RankedSentence> Rank(string question, IReadOnlyList<Passage> passages, int maxSentences)
    {
        var wanted = Analyzer.Query(question);
        if (wanted.Count == 0)
            return [];
        var candidates = passages.SelectMany(Sentences).ToList();
        var weights = Weights(wanted, candidates);
        var total = weights.Values.Sum();
        var ranked = candidates
            .GroupBy(c => c.Passage.Number)
            .SelectMany(group =>
            {
                var passageCover = Cover(group.Aggregate(new HashSet<uint>(), Union), weights) / total;
                return group.Select(c => new RankedSentence(c.Passage, c.Span, Score(c, weights, total, passageCover)));
            })
            .Where(s => s.Score >= Threshold)
            .OrderByDescending(s => s.Score).ThenByDescending(s => s.Passage.Score).ThenBy(s => s.Passage.Number).ThenBy(s => s.Span.Start)
            .ToList();
        return Choose(ranked, maxSentences);
    }

    private static List<RankedSentence> Choose(List<RankedSentence> ranked, int maxSentences)
    {
        var chosen = new List<RankedSentence>();
        var said = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var sentence in ranked.Where(s => s.Score >= ranked[0].Score * Beside))
        {
            if (chosen.Count == maxSentences)
                break;
            if (said.Add(sentence.Text))
                chosen.Add(sentence);
        }

        return chosen;
    }

    private static IEnumerable<Candidate> Sentences(Passage passage)
    {
        var spans = SentenceSplitter.Split(passage.Text);
        HashSet<uint> name = [.. Analyzer.Query(passage.DocumentName ?? "")];
        for (var i = 0; i < spans.Count; i++)
        {
            var span = spans[i];
            // "The following applies:" says nothing without what follows.
            if (passage.Text[span.End - 1] == ':' && i + 1 < spans.Count)
                span = new TextSpan(span.Start, spans[i + 1].End);
            yield return new Candidate(passage, span, [.. Analyzer.Query(passage.Text.AsSpan(span.Start, span.Length))], name);
        }
    }

    private static Dictionary<uint, double> Weights(IReadOnlyList<uint> wanted, List<Candidate> candidates) =>
        wanted.ToDictionary(term => term, term => Math.Log(1 + (candidates.Count / (candidates.Count(c => c.Terms.Contains(term)) + 1d))));

    private static double Score(Candidate candidate, Dictionary<uint, double> weights, double total, double passageCover)
    {
        var named = candidate.NameTerms.Except(candidate.Terms).Sum(term => weights.GetValueOrDefault(term)) * 0.5;
        var score = Math.Min(1, ((Cover(candidate.Terms, weights) + named) / total * (1 - PassageShare)) + (passageCover * PassageShare));
        return IsHeading(candidate) ? score * 0.5 : score;
    }

    /// <summary>It repeats the question's words and tells nothing.</summary>
    private static bool IsHeading(Candidate candidate) => candidate.Terms.Count < 2
        || (candidate.Span.Length < 60 && char.IsLetterOrDigit(candidate.Passage.Text[candidate.Span.End - 1]) && candidate.Passage.Text.Length > candidate.Span.Length + 60);

    private static double Cover(HashSet<uint> terms, Dictionary<uint, double> weights) => weights.Sum(w => terms.Contains(w.Key) ? w.Value : 0);

    private static HashSet<uint> Union(HashSet<uint> all, Candidate candidate)
    {
        all.UnionWith(candidate.Terms);
        all.UnionWith(candidate.NameTerms);
        return all;
    }

    private sealed record Candidate(Passage Passage, TextSpan Span, HashSet<uint> Terms, HashSet<uint> NameTerms);
}
