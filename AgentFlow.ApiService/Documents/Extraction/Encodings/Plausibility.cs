using System.Buffers;
using System.Text;

namespace AgentFlow.ApiService.Documents.Extraction.Encodings;

/// <summary>How surprising a text would be if it were one of a language: lower is more like it.</summary>
internal static class Plausibility
{
    /// <summary>Any character of ASCII: what all encodings read alike cancels out.</summary>
    public const double Ascii = 3;

    /// <summary>Quotes, dashes and the like that languages share.</summary>
    private const double Typographic = 5.5;

    private const double CommonInIdeographs = 4.5;
    private const double Fullwidth = 7.5;

    /// <summary>Of a script that is written in the encoding, but not a letter of the language.</summary>
    private const double Foreign = 11;

    /// <summary>Ideographs of the first level of a standard, of the second, and of later additions.</summary>
    private const double FirstLevel = 9.5;
    private const double SecondLevel = 12;
    private const double Addition = 14;

    private const double CapitalInsideWord = 5;
    private const double MarkedBesideMarked = 2;
    private const double MarkedAlone = 3;
    private const double SymbolInsideWord = 5;
    private const double SymbolAfterLetter = 3;
    private const double NasalBeforeOther = 4;
    private const double ThornInsideWord = 3;
    private const double ScriptsInOneWord = 5;
    private const double AsciiBesideIdeograph = 1.5;

    private static readonly SearchValues<char> Shared = SearchValues.Create("“”‘’„‚–—…«»§©®°·№€£•™²³½¼±×‹›¿¡´µ¶¹º¹¾†‡‰");
    private static readonly SearchValues<char> IsAfterLetters = SearchValues.Create("’‘”“»…®™²³°–—·\u00A0");
    private static readonly SearchValues<char> OfIdeographs = SearchValues.Create("、。「」・ー（），．：；？！『』《》“”‘’—…·　〜～〈〉【】％＋－＝／々");

    /// <summary>Whether a text can hold the character at all: no control, nothing unassigned or private.</summary>
    public static bool IsPossible(char character) =>
        character is not ((>= '\u0080' and <= '\u009F') or (>= '\uE000' and <= '\uF8FF') or '\uFFFD' or '\uFFFE' or '\uFFFF') && (char.IsSurrogate(character) || char.GetUnicodeCategory(character) != System.Globalization.UnicodeCategory.OtherNotAssigned);

    /// <summary>The cost of a text, in natural logarithms.</summary>
    public static double Cost(string text, Language language, Encoding encoding)
    {
        var cost = 0d;
        for (var i = 0; i < text.Length; i++)
        {
            var character = text[i];
            if (character < 0x80)
            {
                cost += Ascii;
                continue;
            }

            var (before, after) = (i == 0 ? ' ' : text[i - 1], i + 1 == text.Length ? ' ' : text[i + 1]);
            cost += language.Script == Script.Ideographs
                ? OfIdeograph(character, before, after, language, encoding)
                : char.IsLetter(character) || char.GetUnicodeCategory(character) is System.Globalization.UnicodeCategory.NonSpacingMark
                    ? OfLetter(character, before, after, language)
                    : OfSymbol(character, before, after, language);
        }

        return cost;
    }

    private static double OfLetter(char character, char before, char after, Language language)
    {
        var cost = language.CostOf(character) ?? language.CostOf(char.ToLowerInvariant(character)) ?? Foreign;
        if (char.IsUpper(character))
            cost += char.IsLower(before) ? CapitalInsideWord : 1;
        if (!char.IsLetter(before) && !char.IsLetter(after) && (language.Script == Script.Alphabet || cost > Language.FirstTier))
            cost += MarkedAlone;
        if (language.Script == Script.Alphabet)
            return char.IsAsciiLetter(before) || char.IsAsciiLetter(after) ? cost + ScriptsInOneWord : cost;
        if (IsMarked(before))
            cost += MarkedBesideMarked;
        if (char.IsLower(character) && char.IsUpper(before) && char.IsUpper(after))
            cost += CapitalInsideWord;
        if (character == 'þ' && char.IsLetter(before))
            cost += ThornInsideWord;
        return IsNasal(character) && char.IsLetter(after) && after is not ('o' or 'e' or 's' or 'i' or 'O' or 'E') ? cost + NasalBeforeOther : cost;
    }

    /// <summary>In the one language of Windows-1252 that has them, they stand before o, e or the end; other encodings have other letters there.</summary>
    private static bool IsNasal(char character) => character is 'ã' or 'õ' or 'Ã' or 'Õ';

    private static bool IsMarked(char character) => character >= 0x80 && char.IsLetter(character);

    private static double OfSymbol(char character, char before, char after, Language language)
    {
        var cost = language.CostOf(character) ?? (character == '\u00A0' || Shared.Contains(character) ? Typographic : Foreign);
        if (!char.IsLetter(before) || IsAfterLetters.Contains(character))
            return cost;
        return char.IsLetter(after) ? cost + SymbolInsideWord : cost + SymbolAfterLetter;
    }

    private static double OfIdeograph(char character, char before, char after, Language language, Encoding encoding)
    {
        var cost = language.CostOf(character) ?? (OfIdeographs.Contains(character) ? CommonInIdeographs
            : character is >= '\uFF01' and <= '\uFF5E' ? Fullwidth
            : char.GetUnicodeCategory(character) == System.Globalization.UnicodeCategory.OtherLetter && character is not (>= '\uFF61' and <= '\uFF9F') ? Level(character, encoding)
            : Foreign);
        return char.IsAsciiLetter(before) || char.IsAsciiLetter(after) ? cost + AsciiBesideIdeograph : cost;
    }

    /// <summary>The standards have the frequent ideographs in their first rows.</summary>
    private static double Level(char character, Encoding encoding)
    {
        if (char.IsSurrogate(character))
            return Addition;
        Span<byte> bytes = stackalloc byte[8];
        Span<char> one = [character];
        var length = encoding.GetBytes(one, bytes);
        if (length != 2)
            return Addition;
        var (lead, trail) = (bytes[0], bytes[1]);
        return encoding.CodePage switch
        {
            932 => lead <= 0x97 ? FirstLevel : SecondLevel,
            51932 => lead <= 0xCF ? FirstLevel : SecondLevel,
            950 => lead <= 0xC6 ? FirstLevel : SecondLevel,
            949 => lead is >= 0xB0 and <= 0xC8 && trail >= 0xA1 ? FirstLevel : lead >= 0xCA && trail >= 0xA1 ? SecondLevel : Addition,
            54936 => trail < 0xA1 || lead < 0xB0 ? Addition : lead <= 0xD7 ? FirstLevel : SecondLevel,
            _ => character is >= '\u4E00' and <= '\u9FFF' or >= '\uAC00' and <= '\uD7A3' or >= '\u3040' and <= '\u30FF' ? FirstLevel + 1 : Addition,
        };
    }
}
