using System.Text.RegularExpressions;

namespace AgentFlow.MemoryService.Memories;

/// <summary>
/// What a sentence states when only one value can be true at a time: <c>("name", "alice")</c>, <c>("home", "berlin")</c>,
/// <c>("likes:coffee", "no")</c>. Pure; reads English statements in the first person, or in the third about "the user".
/// </summary>
/// <param name="Name">Two facts with one name and different values contradict each other.</param>
internal readonly partial record struct FactSlot(string Name, string Value)
{
    // "My name is Alice."  "User's name is Alice"  "Please call me Ali"
    private static readonly (Regex Pattern, string Slot)[] SingleValued =
    [
        (NamePattern(), "name"),
        (HomePattern(), "home"),
        (EmployerPattern(), "employer"),
        (OccupationPattern(), "occupation"),
        (AgePattern(), "age"),
        (BirthdayPattern(), "birthday"),
    ];

    /// <returns>Null when the sentence states nothing that excludes another value.</returns>
    internal static FactSlot? Parse(string text)
    {
        if (text.Length > 300)
            return null;
        var sentence = ContentHash.Normalize(text).Replace('’', '\'');
        foreach (var (pattern, slot) in SingleValued)
        {
            if (pattern.Match(sentence) is { Success: true } match)
                return new FactSlot(slot, Clean(match.Groups["value"].Value));
        }

        if (FavouritePattern().Match(sentence) is { Success: true } favourite)
            return new FactSlot($"favourite:{Clean(favourite.Groups["what"].Value)}", Clean(favourite.Groups["value"].Value));
        if (OverPattern().Match(sentence) is { Success: true } over)
            return Choice(Clean(over.Groups["value"].Value), Clean(over.Groups["other"].Value));
        if (LikePattern().Match(sentence) is { Success: true } like)
            return Liking(like);
        if (DietPattern().Match(sentence) is { Success: true } diet)
            return new FactSlot($"is:{diet.Groups["what"].Value}", IsNegative(diet) ? "no" : "yes");
        if (PropertyPattern().Match(sentence) is { Success: true } property)
            return new FactSlot($"my:{Clean(property.Groups["what"].Value)}", Clean(property.Groups["value"].Value));
        return null;
    }

    /// <summary>"tea over coffee" and "coffee over tea" are two values of one choice.</summary>
    private static FactSlot Choice(string preferred, string other) =>
        string.CompareOrdinal(preferred, other) < 0
            ? new FactSlot($"choice:{preferred}|{other}", preferred)
            : new FactSlot($"choice:{other}|{preferred}", preferred);

    /// <summary>"I prefer dark mode" and "I prefer light mode" exclude each other; "I like dark chocolate" and "I like milk chocolate" do not.</summary>
    private static FactSlot Liking(Match like)
    {
        var what = Clean(like.Groups["what"].Value);
        var words = what.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return like.Groups["prefer"].Success && !IsNegative(like) && words.Length == 2
            ? new FactSlot($"prefers:{words[1]}", words[0])
            : new FactSlot($"likes:{what}", IsNegative(like) ? "no" : "yes");
    }

    private static bool IsNegative(Match match) => match.Groups["not"].Success;

    private static string Clean(string value)
    {
        var cleaned = value.Trim().TrimEnd('.', ',', '!', ';');
        foreach (var suffix in Suffixes)
        {
            if (cleaned.EndsWith(suffix, StringComparison.Ordinal))
                cleaned = cleaned[..^suffix.Length].TrimEnd(' ', ',');
        }

        foreach (var article in Articles)
        {
            if (cleaned.StartsWith(article, StringComparison.Ordinal))
                cleaned = cleaned[article.Length..];
        }

        return cleaned;
    }

    private static readonly string[] Suffixes = [" now", " nowadays", " these days", " anymore", " any more", " again", " instead", " too", " a lot", " very much"];

    private static readonly string[] Articles = ["a ", "an ", "the "];

    private const string Lead = @"^(?:(?:actually|well|oh|hi|hello|hey|and|but|so|also|by the way|btw|no|now|please)[,!]? )*(?:remember (?:that )?)?";

    private const string I = "(?:i|(?:the )?user)";

    private const string My = "(?:my|(?:the )?user's)";

    private const string Be = "(?:(?:i'm|i am|(?:the )?user is))";

    private const RegexOptions Options = RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture;

    [GeneratedRegex(Lead + "(?:" + My + " (?:full |first )?name is(?: now)?|call me|" + I + " (?:am |is )?(?:called|named)) (?<value>[^,.;]{1,60})", Options, 10_000)]
    private static partial Regex NamePattern();

    [GeneratedRegex(Lead + "(?:" + I + " (?:now |currently )?lives? in|" + I + " (?:have |has |just |recently )*(?:moved|relocated)(?: from [^,.;]{1,60}?)? to|" + Be + " (?:now )?(?:living|based) in|" + My + " home is in) (?<value>[^,.;]{1,60})", Options, 10_000)]
    private static partial Regex HomePattern();

    [GeneratedRegex(Lead + "(?:" + I + " (?:now |currently )?works? (?:at|for)|" + Be + " (?:now )?(?:working|employed) (?:at|for|by)|" + My + " employer is) (?<value>[^,.;]{1,60})", Options, 10_000)]
    private static partial Regex EmployerPattern();

    [GeneratedRegex(Lead + "(?:" + I + " (?:now |currently )?works? as|" + Be + " (?:now )?working as|" + My + " (?:job|occupation|profession)(?: title)? is) (?<value>[^,.;]{1,60})", Options, 10_000)]
    private static partial Regex OccupationPattern();

    [GeneratedRegex(Lead + "(?:" + Be + "|" + My + " age is) (?<value>[0-9]{1,3})(?: years old)?$", Options, 10_000)]
    private static partial Regex AgePattern();

    [GeneratedRegex(Lead + "(?:" + My + " birthday is(?: on)?|" + I + " (?:was|were) born on) (?<value>[^.;]{1,60})", Options, 10_000)]
    private static partial Regex BirthdayPattern();

    [GeneratedRegex(Lead + My + " (?:favou?rite|preferred) (?<what>[^,.;]{1,40}?) (?:is|are)(?: now)? (?<value>[^,.;]{1,80})", Options, 10_000)]
    private static partial Regex FavouritePattern();

    [GeneratedRegex(Lead + I + " (?:now )?prefers? (?<value>[^,.;]{1,60}?) (?:over|to|rather than|instead of) (?<other>[^,.;]{1,60})$", Options, 10_000)]
    private static partial Regex OverPattern();

    [GeneratedRegex(Lead + I + " (?:(?<not>(?:really )?(?:do not|don't|does not|doesn't|no longer|can not|can't|cannot) (?:really )?(?:like|love|enjoy|prefer|want|stand)s?|(?:really |now )?(?:dislike|hate|avoid)s?)|(?:really |now |absolutely )?(?:(?:like|love|enjoy)s?|(?<prefer>prefers?))) (?<what>[^,.;]{1,60})$", Options, 10_000)]
    private static partial Regex LikePattern();

    [GeneratedRegex(Lead + Be + " (?<not>not |no longer |not an? |no longer an? )?(?:an? )?(?:now )?(?<what>vegetarian|vegan|pescatarian|married|single|retired|pregnant|employed|unemployed|left-handed|right-handed)(?: anymore| any more| now)?$", Options, 10_000)]
    private static partial Regex DietPattern();

    [GeneratedRegex(Lead + My + " (?<what>e-?mail(?: address)?|phone(?: number)?|address|time ?zone|(?:native |first )?language|pronouns|nationality|budget|shoe size|editor|deadline|wife|husband|partner|boss|manager|doctor)(?:'s name)? (?:is|are)(?: now)? (?<value>[^,;]{1,80})$", Options, 10_000)]
    private static partial Regex PropertyPattern();
}
