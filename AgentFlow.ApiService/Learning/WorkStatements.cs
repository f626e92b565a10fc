using System.Text.RegularExpressions;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.ApiService.Learning;

/// <summary>
/// Finds what a message states about the work at hand, without any model: decisions, plans and states of "we", "our ..." and "the project".
/// What somebody says of himself is the memory service's to find. Prefers missing a statement to keeping a passing remark. Pure, English.
/// </summary>
internal static partial class WorkStatements
{
    /// <summary>A longer sentence is a passage, not a statement.</summary>
    private const int MaxLength = 400;

    /// <summary>Of one message; more is a document.</summary>
    private const int MaxStatements = 10;

    /// <returns>The statements in the order they were made, in the speaker's own words, each once.</returns>
    public static IReadOnlyList<string> In(string message)
    {
        if (!StatementPattern().IsMatch(message))
            return [];
        return
        [
            .. SentenceSplitter.Split(message)
                .Select(sentence => Statement(message.Substring(sentence.Start, sentence.Length).Trim()))
                .OfType<string>().Distinct(StringComparer.OrdinalIgnoreCase).Take(MaxStatements),
        ];
    }

    private static string? Statement(string sentence)
    {
        if (sentence.Length is 0 or > MaxLength || sentence.EndsWith('?') || sentence.EndsWith('？'))
            return null;
        var said = LeadPattern().Replace(sentence.Replace('’', '\''), "", 1);
        return SentencePattern().IsMatch(said) ? char.ToUpperInvariant(said[0]) + said[1..] : null;
    }

    private const RegexOptions Options = RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase;

    // "We have now decided to ship on Friday", "Our staging server runs Debian", "The project is called Petrel"
    private const string Said =
        @"we(?:'re|'ve|'ll)? (?:(?:are|have|had|were|will|now|already|just|also|all|finally|currently|still|only|never|always|do not|don't|no longer) )*(?:decided|agreed|chose|chosen|picked|settled|plan|planned|planning|use|using|used|ship|shipped|shipping|release|released|deploy|deployed|deliver|delivered|launch|launched|migrate|migrated|moved|finished|completed|build|built|building|test|tested|testing|host|run|need to|must|meet|work|working|started|start|support|dropped|replaced|renamed)\b"
        + @"|our (?:\S+ ){1,5}?(?:is|are|was|were|has|have|will|must|should|runs?|uses?|needs?|ships?)\b"
        + @"|(?:the|this) (?:project|task|goal|deadline|plan|budget|release|launch|client|customer|team|meeting|scope|milestone|sprint|repository|repo|branch|code|codebase|product|design|requirement|migration|report|presentation)s? (?:\S+ ){0,4}?(?:is|are|was|were|has|have|will|must|should|needs?|uses?|runs?|ends?|starts?)\b";

    /// <summary>Cheap, for the messages that hold nothing of the kind.</summary>
    [GeneratedRegex(@"\b(?:we|our|the|this)\b", Options, 10_000)]
    private static partial Regex StatementPattern();

    [GeneratedRegex(@"^(?:(?:hi|hello|hey|well|ok|okay|actually|btw|by the way|fyi|yes|no|and|but|also|so|thanks|for the record|just so you know)(?: there)?[,.!:]? +)+", Options, 10_000)]
    private static partial Regex LeadPattern();

    [GeneratedRegex("^(?:" + Said + ")", Options, 10_000)]
    private static partial Regex SentencePattern();
}
