using System.Text.RegularExpressions;

namespace AgentFlow.ApiService.Models.Extractive;

/// <summary>Reads first-person English just far enough to know what is meant for the memory and to say it back. Pure.</summary>
internal static partial class Statements
{
    // The limits of time are long because they count the waiting of a busy machine as well; the patterns are linear.
    private const RegexOptions Options = RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase;

    /// <summary>Whether the memory service should look at a message: it may state something about its author. Cheap, errs towards yes.</summary>
    public static bool MayTellSomething(string message) => TellingPattern().IsMatch(message);

    /// <summary>Whether a message asks for something besides what it tells.</summary>
    public static bool Asks(string message) => message.Contains('?') || message.Contains('？') || AskingPattern().IsMatch(message);

    /// <summary>Whether a question is about its author: "What is my name?", "Where do I live?", "What do you know about me?"</summary>
    public static bool IsAboutAuthor(string question) => AuthorPattern().IsMatch(question);

    /// <summary>Whether a text speaks of liking: a question may say "like" where the statement said "prefer".</summary>
    public static bool SpeaksOfLiking(string text) => LikingPattern().IsMatch(text);

    /// <summary>"I prefer tea" becomes "You prefer tea"; what is in the third person stays.</summary>
    public static string ToSecondPerson(string text)
    {
        var flipped = PersonPattern().Replace(text.Replace('’', '\''), match => match.Value.ToLowerInvariant() switch
        {
            "i am" or "i'm" => "you are",
            "i was" => "you were",
            "i've" => "you have",
            "i'd" => "you would",
            "i'll" => "you will",
            "i" or "me" => "you",
            "my" => "your",
            "mine" => "yours",
            _ => "yourself",
        }).Trim().TrimEnd('.', '!', ' ');
        return flipped.Length == 0 ? flipped : char.ToUpperInvariant(flipped[0]) + flipped[1..];
    }

    [GeneratedRegex(@"\b(i|my|me|remember|note|forget|keep in mind|memori[sz]e)\b", Options, 10_000)]
    private static partial Regex TellingPattern();

    [GeneratedRegex(@"^\W*(please )?(what|who|whom|whose|when|where|why|how|which|is|are|was|were|do|does|did|can|could|will|would|should|tell me|show me|explain|list|find|summari[sz]e|describe|give me|compare)\b", Options, 10_000)]
    private static partial Regex AskingPattern();

    [GeneratedRegex(@"\b(i|my|me|mine|myself|i'm)\b", Options, 10_000)]
    private static partial Regex AuthorPattern();

    [GeneratedRegex(@"\b(like|likes|love|loves|enjoy|enjoys|prefer|prefers|preference|preferences|favou?rite|favou?rites|rather)\b", Options, 10_000)]
    private static partial Regex LikingPattern();

    [GeneratedRegex(@"\b(i am|i'm|i was|i've|i'd|i'll|i|me|my|mine|myself)\b", Options, 10_000)]
    private static partial Regex PersonPattern();
}
