using System.Text;
using System.Text.RegularExpressions;
using AgentFlow.ApiService.Context;
using AgentFlow.Contracts.Runs;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.ApiService.Models.Extractive;

/// <summary>
/// Writes the built-in model's answer: what was noted, what the user said earlier, the best sentences of the documents with their
/// markers, or plainly that nothing was found. Pure and deterministic.
/// </summary>
internal static partial class ExtractiveAnswer
{
    private const int MaxMemories = 3;

    /// <summary>Sentences shown where none is an answer.</summary>
    private const int MaxNear = 2;

    /// <summary>A question that is not about the user is answered by a memory that holds this share of its words.</summary>
    private const double OtherCover = 0.6;

    /// <summary>A memory that holds this share of the question's words answers it.</summary>
    private const double MemoryCover = 0.34;

    /// <summary>A recalled memory with no word in common is still the nearest to "what do I ...?" from this score on.</summary>
    private const double MemoryScore = 0.3;

    public static string Write(AnswerSources sources, int maxSentences)
    {
        var parts = new List<string>();
        if (sources.Noted.Count > 0)
            parts.Add($"I will remember that: {string.Join("; ", sources.Noted.Select(Statements.ToSecondPerson))}.");
        if (sources.Noted.Count > 0 && !Statements.Asks(sources.Question))
            return parts[0];
        if (GreetingPattern().IsMatch(sources.Question))
            return "Hello. Ask me about your documents, or tell me what I should remember. I am AgentFlow's built-in offline model.";
        var (memories, memoryCover) = Memories(sources);
        if (memories.Count > 0)
            parts.Add($"From what you told me: {string.Join("; ", memories.Select(m => Statements.ToSecondPerson(m.Text)))}.");
        var sentences = SentenceRanking.Rank(sources.Question, sources.Passages, maxSentences);

        // A question that a memory answers is not helped by a document that is only as near.
        if (sentences.Count > 0 && (memories.Count == 0 || sentences[0].Score > Math.Max(memoryCover, SentenceRanking.Confident)))
            parts.Add(Quote(sentences, sources));
        if (memories.Count == 0 && sentences.Count == 0)
            parts.Add(NothingFound(sources));
        return string.Join("\n\n", parts);
    }

    private static string Quote(IReadOnlyList<RankedSentence> sentences, AnswerSources sources)
    {
        var text = new StringBuilder();
        if (sentences[0].Score < SentenceRanking.Confident && !sources.IsSelectedText)
            text.Append("I found no direct answer. The nearest in your documents: ");
        foreach (var sentence in sentences.Take(sentences[0].Score < SentenceRanking.Confident ? MaxNear : sentences.Count))
        {
            if (text.Length > 0 && text[^1] != ' ')
                text.Append(' ');
            text.Append(OneLine(sentence.Text)).Append(" [").Append(sentence.Passage.Number).Append(']');
        }

        return text.ToString();
    }

    private static (IReadOnlyList<RecalledMemory> Memories, double Cover) Memories(AnswerSources sources)
    {
        if (sources.IsSelectedText || sources.Memories.Count == 0)
            return ([], 0);
        var isAboutAuthor = Statements.IsAboutAuthor(sources.Question);
        var wanted = Analyzer.Query(sources.Question);
        var asksForLiking = Statements.SpeaksOfLiking(sources.Question);
        var scored = sources.Memories
            .Select(memory => (Memory: memory, Cover: Cover(wanted, memory.Text, asksForLiking)))
            .OrderByDescending(m => m.Cover).ThenByDescending(m => m.Memory.Score)
            .ToList();
        var best = scored[0].Cover;
        if (best >= (isAboutAuthor ? MemoryCover : OtherCover))
            return ([.. scored.Where(m => m.Cover >= best * 0.8).Take(MaxMemories).Select(m => m.Memory)], best);
        if (!isAboutAuthor)
            return ([], 0);
        return AsksForAllPattern().IsMatch(sources.Question)
            ? ([.. scored.Take(MaxMemories).Select(m => m.Memory)], 1)
            : ([.. scored.Where(m => m.Memory.Score >= MemoryScore).Take(1).Select(m => m.Memory)], best);
    }

    private static double Cover(IReadOnlyList<uint> wanted, string memory, bool asksForLiking)
    {
        var words = Analyzer.Query(memory);
        var cover = wanted.Count == 0 ? 0 : wanted.Count(words.Contains) / (double)wanted.Count;
        return asksForLiking && Statements.SpeaksOfLiking(memory) ? Math.Max(cover, MemoryCover + (cover * (1 - MemoryCover))) : cover;
    }

    private static string NothingFound(AnswerSources sources)
    {
        if (sources.IsSelectedText)
            return "The selected text says nothing about that.";
        var where = (sources.Degraded.Contains("documents"), sources.Degraded.Contains("memory")) switch
        {
            (true, true) => "I could not search your documents and memories just now; please try again.",
            (true, false) => "I could not search your documents just now, and found nothing about that in what you told me.",
            (false, true) => "I found nothing about that in your documents, and could not look into my memory just now.",
            _ => "I found nothing about that in your documents or in what you told me.",
        };
        return where + " I am AgentFlow's built-in offline model and can only quote from them.";
    }

    private static string OneLine(string text) => WhiteSpacePattern().Replace(text, " ");

    [GeneratedRegex(@"^\W*(hi|hello|hey|good (morning|afternoon|evening)|thanks|thank you)( there| you| very much)?\W*$", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 10_000)]
    private static partial Regex GreetingPattern();

    [GeneratedRegex(@"\s+", RegexOptions.CultureInvariant, 10_000)]
    private static partial Regex WhiteSpacePattern();

    [GeneratedRegex(@"\b(know|remember|told|said|say) .{0,40}\b(me|i|my)\b|\b(i|i've|me)\b.{0,30}\b(told|said|tell)\b", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 10_000)]
    private static partial Regex AsksForAllPattern();
}
