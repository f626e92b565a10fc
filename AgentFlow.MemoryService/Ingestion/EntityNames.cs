using System.Text.RegularExpressions;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>
/// Finds what a text names: identifiers, quoted titles, and runs of capitalized words. Pure, no model; for languages that capitalize
/// names (others are found by their words).
/// </summary>
internal static partial class EntityNames
{
    private const int MaxNames = 16;
    private const int MaxLength = 80;

    private static readonly HashSet<string> NotNames = new(StringComparer.OrdinalIgnoreCase)
    {
        "I", "I'm", "I'll", "I've", "I'd", "The", "A", "An", "My", "Your", "His", "Her", "Our", "Their", "Its", "This", "That", "These", "Those", "It", "He",
        "She", "We", "You", "They", "What", "When", "Where", "Who", "Whom", "Whose", "Why", "How", "Which", "Yes", "No", "Ok", "Okay", "And", "But", "Or",
        "So", "If", "In", "On", "At", "For", "To", "Of", "By", "With", "From", "As", "Is", "Are", "Was", "Were", "Be", "Been", "Do", "Does", "Did", "Have",
        "Has", "Had", "Can", "Could", "Will", "Would", "Should", "May", "Might", "Please", "Thanks", "Thank", "Hi", "Hello", "Hey", "Wow", "Oh", "Well",
        "Actually", "Also", "Just", "Not", "Never", "Always", "There", "Here", "Then", "Now", "User", "Let", "Call", "Remember", "Item", "Some", "All", "Any",
    };

    /// <returns>Each name once, in the order they occur; at most 16.</returns>
    internal static IReadOnlyList<string> In(string text)
    {
        if (text.Length > 20_000)
            text = text[..20_000];
        var names = new List<string>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var match in NamePattern().EnumerateMatches(text))
        {
            var name = Trim(text.Substring(match.Index, match.Length));
            if (name.Length is < 2 or > MaxLength || NotNames.Contains(name))
                continue;
            if (seen.Add(Key(name)))
                names.Add(name);
            if (names.Count == MaxNames)
                break;
        }

        return names;
    }

    /// <summary>Two names with one key are the same entity.</summary>
    internal static string Key(string name) => Memories.ContentHash.Normalize(name);

    /// <summary>"The New York Times" starts with a word that opens sentences, too.</summary>
    private static string Trim(string name)
    {
        var trimmed = name.Trim('"', '“', '”', '«', '»', ' ', '.', ',');
        var space = trimmed.IndexOf(' ', StringComparison.Ordinal);
        return space > 0 && NotNames.Contains(trimmed[..space]) ? Trim(trimmed[(space + 1)..]) : trimmed;
    }

    // Every repetition is bounded, so the cost is linear; the limit of time only guards that, and is long because it counts the waiting
    // of a busy machine as well.
    // "INV-2024-0042", "\"Dune\"", "Ada Lovelace"
    [GeneratedRegex(@"\b(?=[\p{L}\p{N}_\-./]{0,80}\d)(?=[\p{L}\p{N}_\-./]{0,80}\p{L})[\p{L}\p{N}][\p{L}\p{N}_\-./]{2,80}\b|[""“«][^""”»\n]{2,60}[""”»]|\b\p{Lu}[\p{L}\p{N}'’&-]{0,60}(?:\s(?:of\s|de\s|van\s|von\s|the\s)?\p{Lu}[\p{L}\p{N}'’&-]{0,60}){0,3}", RegexOptions.CultureInvariant, 10_000)]
    private static partial Regex NamePattern();
}
