using System.Buffers;

namespace AgentFlow.Retrieval.Text;

/// <summary>
/// Martin Porter's English stemmer ("Porter2", snowballstem.org/algorithms/english). Works in place on lower-case ASCII words; anything
/// else is left as it is. Pure.
/// </summary>
internal static class EnglishStemmer
{
    private static readonly SearchValues<char> Vowels = SearchValues.Create("aeiouy");

    private static readonly (string Suffix, string Replacement)[] Step2 =
    [
        ("ational", "ate"), ("fulness", "ful"), ("iveness", "ive"), ("ization", "ize"), ("ousness", "ous"), ("biliti", "ble"), ("lessli", "less"),
        ("tional", "tion"), ("alism", "al"), ("aliti", "al"), ("ation", "ate"), ("entli", "ent"), ("fulli", "ful"), ("iviti", "ive"), ("ousli", "ous"),
        ("abli", "able"), ("alli", "al"), ("anci", "ance"), ("ator", "ate"), ("enci", "ence"), ("izer", "ize"), ("bli", "ble"), ("ogi", "og"), ("li", ""),
    ];

    private static readonly (string Suffix, string Replacement)[] Step3 =
    [
        ("ational", "ate"), ("tional", "tion"), ("alize", "al"), ("ative", ""), ("icate", "ic"), ("iciti", "ic"), ("ical", "ic"), ("ness", ""), ("ful", ""),
    ];

    private static readonly string[] Step4 =
    [
        "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize", "ion", "al", "er", "ic",
    ];

    /// <param name="word">Lower-case letters a to z; overwritten.</param>
    /// <returns>The length of the stem, which is now at the start of <paramref name="word"/>.</returns>
    public static int Stem(Span<char> word)
    {
        if (word.Length <= 2)
            return word.Length;
        return StemExceptions.TryStem(word, out var length) ? length : StemRegular(word);
    }

    /// <summary>As <see cref="Stem"/>, by the suffix rules alone.</summary>
    internal static int StemRegular(Span<char> word)
    {
        if (word.Length <= 2)
            return word.Length;
        MarkConsonantY(word);
        var length = word.Length;
        var (r1, r2) = Regions(word);
        length = Plural(word, length);
        if (!StemExceptions.StaysAfterPlural(word[..length]))
        {
            length = PastAndGerund(word, length, r1);
            length = FinalY(word, length);
            length = ReplaceSuffix(word, length, r1, r2, Step2);
            length = ReplaceSuffix(word, length, r1, r2, Step3);
            length = DropSuffix(word, length, r2);
            length = FinalEOrL(word, length, r1, r2);
        }

        word[..length].Replace('Y', 'y');
        return length;
    }

    private static bool IsVowel(char c) => c is 'a' or 'e' or 'i' or 'o' or 'u' or 'y';

    private static void MarkConsonantY(Span<char> word)
    {
        for (var i = 0; i < word.Length; i++)
        {
            if (word[i] == 'y' && (i == 0 || IsVowel(word[i - 1])))
                word[i] = 'Y';
        }
    }

    private static (int R1, int R2) Regions(ReadOnlySpan<char> word)
    {
        var r1 = word.StartsWith("gener") || word.StartsWith("arsen") ? 5 : word.StartsWith("commun") ? 6 : AfterVowelAndConsonant(word, 0);
        return (r1, AfterVowelAndConsonant(word, r1));
    }

    private static int AfterVowelAndConsonant(ReadOnlySpan<char> word, int from)
    {
        for (var i = from + 1; i < word.Length; i++)
        {
            if (!IsVowel(word[i]) && IsVowel(word[i - 1]))
                return i + 1;
        }

        return word.Length;
    }

    private static bool ContainsVowel(ReadOnlySpan<char> word) => word.ContainsAny(Vowels);

    private static bool EndsInShortSyllable(ReadOnlySpan<char> word)
    {
        if (word.Length == 2)
            return IsVowel(word[0]) && !IsVowel(word[1]);
        return word.Length > 2 && !IsVowel(word[^1]) && word[^1] is not ('w' or 'x' or 'Y') && IsVowel(word[^2]) && !IsVowel(word[^3]);
    }

    private static int Plural(Span<char> word, int length)
    {
        var current = word[..length];
        if (current.EndsWith("sses"))
            return length - 2;
        if (current.EndsWith("ied") || current.EndsWith("ies"))
            return length > 4 ? length - 2 : length - 1;
        if (current[^1] != 's' || current.EndsWith("us") || current.EndsWith("ss"))
            return length;
        return ContainsVowel(current[..^2]) ? length - 1 : length;
    }

    private static int PastAndGerund(Span<char> word, int length, int r1)
    {
        ReadOnlySpan<char> current = word[..length];
        if (current.EndsWith("eed"))
            return length - 3 >= r1 ? length - 1 : length;
        if (current.EndsWith("eedly"))
            return length - 5 >= r1 ? length - 3 : length;
        var suffix = current.EndsWith("ingly") ? 5 : current.EndsWith("edly") ? 4 : current.EndsWith("ing") ? 3 : current.EndsWith("ed") ? 2 : 0;
        if (suffix == 0 || !ContainsVowel(current[..^suffix]))
            return length;
        length -= suffix;
        current = word[..length];
        if (current.EndsWith("at") || current.EndsWith("bl") || current.EndsWith("iz"))
        {
            word[length] = 'e';
            return length + 1;
        }

        if (length >= 2 && current[^1] == current[^2] && "bdfgmnprt".Contains(current[^1]))
            return length - 1;
        if (r1 >= length && EndsInShortSyllable(current))
        {
            word[length] = 'e';
            return length + 1;
        }

        return length;
    }

    private static int FinalY(Span<char> word, int length)
    {
        if (length > 2 && word[length - 1] is 'y' or 'Y' && !IsVowel(word[length - 2]))
            word[length - 1] = 'i';
        return length;
    }

    private static int ReplaceSuffix(Span<char> word, int length, int r1, int r2, (string Suffix, string Replacement)[] rules)
    {
        ReadOnlySpan<char> current = word[..length];
        foreach (var (suffix, replacement) in rules)
        {
            if (!current.EndsWith(suffix))
                continue;
            var start = length - suffix.Length;
            var applies = start >= r1 && suffix switch
            {
                "ogi" => start > 0 && current[start - 1] == 'l',
                "li" => start > 0 && "cdeghkmnrt".Contains(current[start - 1]),
                "ative" => start >= r2,
                _ => true,
            };
            if (!applies)
                return length;
            replacement.CopyTo(word[start..]);
            return start + replacement.Length;
        }

        return length;
    }

    private static int DropSuffix(ReadOnlySpan<char> word, int length, int r2)
    {
        var current = word[..length];
        foreach (var suffix in Step4)
        {
            if (!current.EndsWith(suffix))
                continue;
            var start = length - suffix.Length;
            var applies = start >= r2 && (suffix != "ion" || (start > 0 && current[start - 1] is 's' or 't'));
            return applies ? start : length;
        }

        return length;
    }

    private static int FinalEOrL(ReadOnlySpan<char> word, int length, int r1, int r2)
    {
        var start = length - 1;
        if (length > 0 && word[start] == 'e' && (start >= r2 || (start >= r1 && !EndsInShortSyllable(word[..start]))))
            return start;
        if (length > 1 && word[start] == 'l' && start >= r2 && word[start - 1] == 'l')
            return start;
        return length;
    }
}
