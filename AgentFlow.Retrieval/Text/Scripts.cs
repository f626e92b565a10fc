using System.Globalization;

namespace AgentFlow.Retrieval.Text;

internal enum CharClass : byte
{
    /// <summary>Separates words.</summary>
    Other,

    /// <summary>A letter or digit of a script that puts spaces between words.</summary>
    Word,

    /// <summary>A mark that belongs to the letter before it.</summary>
    Mark,

    /// <summary>Han; a single character can be a word.</summary>
    Ideograph,

    /// <summary>Kana, Thai, Lao, Khmer, Burmese: no spaces between words, and a single character says little.</summary>
    Unspaced,

    /// <summary>Korean: spaces between phrases whose endings vary.</summary>
    Hangul,
}

internal static class Scripts
{
    private static readonly CharClass[] Classes = Classify();

    public static CharClass Of(char c) => Classes[c];

    private static CharClass[] Classify()
    {
        var classes = new CharClass[char.MaxValue + 1];
        for (var code = 0; code <= char.MaxValue; code++)
            classes[code] = Classify((char)code);
        return classes;
    }

    private static CharClass Classify(char c)
    {
        // Surrogate pairs: Han beyond the basic plane (U+20000 and up) has high surrogates D840 to D88F; anything else up there separates words.
        if (char.IsSurrogate(c))
            return c is >= '\uD840' and <= '\uD88F' ? CharClass.Ideograph : CharClass.Other;
        var category = char.GetUnicodeCategory(c);
        var isMark = category is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark;
        if (c is (>= '\u3400' and <= '\u4DBF') or (>= '\u4E00' and <= '\u9FFF') or (>= '\uF900' and <= '\uFAFF') or '\u3005' or '\u3007')
            return CharClass.Ideograph;
        if ((c is (>= '\u3041' and <= '\u30FF') or (>= '\u31F0' and <= '\u31FF') or (>= '\uFF66' and <= '\uFF9F') && c is not ('\u30FB' or '\u30A0'))
            || c is (>= '\u0E01' and <= '\u0E3A') or (>= '\u0E40' and <= '\u0E4E') or (>= '\u0E80' and <= '\u0ECF')
                or (>= '\u1000' and <= '\u103F') or (>= '\u1780' and <= '\u17D3'))
            return CharClass.Unspaced;
        if (c is (>= '\uAC00' and <= '\uD7A3') or (>= '\u1100' and <= '\u11FF') or (>= '\u3131' and <= '\u318E'))
            return CharClass.Hangul;
        if (isMark || category == UnicodeCategory.EnclosingMark || CharFolding.IsDroppedMark(c))
            return CharClass.Mark;
        return char.IsLetterOrDigit(c) || category is UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber ? CharClass.Word : CharClass.Other;
    }
}
