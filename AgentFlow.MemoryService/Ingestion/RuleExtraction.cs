using System.Text.RegularExpressions;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>
/// Finds what a person says about himself without any model: sentences in the first person that state something lasting, and whatever he
/// asks to be remembered. Prefers missing a fact to storing a passing remark. Pure, English; other languages are stored when asked for
/// with "remember".
/// </summary>
internal static partial class RuleExtraction
{
    /// <summary>A longer sentence is a passage, not a fact.</summary>
    private const int MaxFactLength = 400;

    /// <returns>The facts in the order they were said, in the speaker's own words, each once.</returns>
    internal static IReadOnlyList<string> Extract(string text)
    {
        var facts = new List<string>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var sentence in SentenceSplitter.Split(text))
        {
            if (Fact(text.Substring(sentence.Start, sentence.Length).Trim()) is { } fact && seen.Add(ContentHash.Normalize(fact)))
                facts.Add(fact);
        }

        return facts;
    }

    private static string? Fact(string sentence)
    {
        if (sentence.Length is 0 or > MaxFactLength || sentence.EndsWith('?') || sentence.EndsWith('？'))
            return null;
        if (RememberPattern().Match(sentence) is { Success: true } remember)
            return Capitalize(remember.Groups["what"].Value.Trim());
        var said = LeadPattern().Replace(sentence.Replace('’', '\''), string.Empty, 1);
        if (PassingPattern().IsMatch(said))
            return null;
        return StatementPattern().IsMatch(said) ? Capitalize(said.Trim()) : null;
    }

    private static string? Capitalize(string text) =>
        text.Length < 3 ? null : string.Concat(char.ToUpperInvariant(text[0]).ToString(), text.AsSpan(1));

    private const RegexOptions Options = RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase;

    // "Please remember that the deploy key is on the red USB stick."
    [GeneratedRegex(@"^(?:please[,]? |and |also |so )*(?:(?:always )?remember|note|keep in mind|don't forget|do not forget|make a note|memori[sz]e)(?: this)?(?:[:,]| that) *(?<what>.+)$", Options | RegexOptions.Singleline, 10_000)]
    private static partial Regex RememberPattern();

    // "Hi, actually my name is Alice."
    [GeneratedRegex(@"^(?:(?:hi|hello|hey|well|oh|ok|okay|actually|btw|by the way|just so you know|fyi|yes|no|and|but|also|so|thanks|thank you|please)(?: there)?[,.!:]? +)+", Options, 10_000)]
    private static partial Regex LeadPattern();

    // "I am looking for ...", "I'm sorry", "I have a question": true for the moment only.
    [GeneratedRegex(@"^(?:if|when|suppose|imagine|what if|let's|i (?:think|guess|wonder|mean|see|know|hope|just|would|can|could|will|did|do not know|don't know|don't understand|want you|need you|need help|have (?:a |some |another |one )?(?:question|problem|issue|error)s?)\b|i'(?:d|ll|ve)\b|(?:i'm|i am) (?:(?:just|now|currently|still|not) )*(?:sorry|sure|afraid|confused|wondering|asking|looking|trying|getting|going|seeing|having|curious|here|back|done|ready|fine|good|ok|okay|stuck|glad|happy|thinking|unable|able)\b|my (?:question|problem|issue|error|apologies|bad)\b)", Options, 10_000)]
    private static partial Regex PassingPattern();

    // "My name is Alice", "I prefer tea", "I'm allergic to nuts", "Call me Ali"
    [GeneratedRegex(@"^(?:call me \S|my (?:\S+ ){1,5}?(?:is|are|was|were|has|have|lives?|works?)\b|(?:i'm|i am) |i (?:(?:really|also|usually|always|never|often|only|mostly|now|currently|recently|just|do not|don't|can't|cannot|no longer|have|had) )*(?:like|love|enjoy|prefer|hate|dislike|avoid|live|work|study|studied|own|have|use|speak|play|drive|drink|eat|moved|relocated|grew up|was born|graduated|need|want|collect|support|follow|read|teach|practi[sc]e|train|commute|cook|run|ride|stand)\b)", Options, 10_000)]
    private static partial Regex StatementPattern();
}
