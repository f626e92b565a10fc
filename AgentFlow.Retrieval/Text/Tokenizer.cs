namespace AgentFlow.Retrieval.Text;

/// <summary>
/// Cuts text into terms for search. Words of letters and digits, folded (<see cref="CharFolding"/>); identifiers
/// (<c>ABC-123_x</c>, <c>getUserName</c>, <c>a.b@c.org</c>, <c>C#</c>, <c>1,000</c>) whole and in parts; Chinese, Japanese, Thai, Lao, Khmer,
/// Burmese and Korean by overlapping pairs of characters, Chinese also by single ones. Pure; no allocation per term.
/// </summary>
internal static class Tokenizer
{
    /// <summary>Longer words are cut here: they are encoded data, and nobody types them.</summary>
    private const int MaxTermLength = 128;

    public static List<Token> Tokenize(string text)
    {
        var collector = new Collector([]);
        Visit(text, ref collector);
        return collector.Tokens;
    }

    public static void Visit<TVisitor>(ReadOnlySpan<char> text, ref TVisitor visitor)
        where TVisitor : struct, ITokenVisitor
    {
        var i = 0;
        while (i < text.Length)
        {
            switch (Scripts.Of(text[i]))
            {
                case CharClass.Word:
                    i = VisitWord(text, i, ref visitor);
                    break;
                case CharClass.Ideograph:
                    i = VisitGrams(text, i, CharClass.Ideograph, ref visitor);
                    break;
                case CharClass.Unspaced:
                    i = VisitGrams(text, i, CharClass.Unspaced, ref visitor);
                    break;
                case CharClass.Hangul:
                    i = VisitGrams(text, i, CharClass.Hangul, ref visitor);
                    break;
                default:
                    i++;
                    break;
            }
        }
    }

    private static int VisitWord<TVisitor>(ReadOnlySpan<char> text, int start, ref TVisitor visitor)
        where TVisitor : struct, ITokenVisitor
    {
        Span<char> whole = stackalloc char[MaxTermLength + 8];
        var wholeLength = 0;
        var partStart = start;
        var partWholeStart = 0;
        var parts = 0;
        var isIdentifier = false;
        var i = start;
        while (i < text.Length && wholeLength < MaxTermLength)
        {
            var c = text[i];
            var kind = Scripts.Of(c);
            if (kind is CharClass.Word or CharClass.Mark)
            {
                if (i > partStart && char.IsUpper(c) && char.IsLower(text[i - 1]))
                {
                    visitor.Visit(whole[partWholeStart..wholeLength], partStart, i, TokenKind.Word);
                    parts++;
                    isIdentifier = true;
                    partStart = i;
                    partWholeStart = wholeLength;
                }

                isIdentifier |= parts > 0 && char.IsDigit(c);
                wholeLength += CharFolding.Fold(c, whole[wholeLength..]);
                i++;
                continue;
            }

            var next = i + 1 < text.Length ? text[i + 1] : '\0';
            if (Scripts.Of(next) != CharClass.Word || !Joins(c, text[i - 1], next))
                break;
            if (c is '\'' or '\u2019')
            {
                whole[wholeLength++] = '\'';
                i++;
                continue;
            }

            // 1,000 is the number 1000 and nothing else.
            if (c == ',')
            {
                i++;
                continue;
            }

            visitor.Visit(whole[partWholeStart..wholeLength], partStart, i, TokenKind.Word);
            parts++;
            isIdentifier |= c != '-' || ContainsDigit(whole[..wholeLength]) || char.IsDigit(next);
            whole[wholeLength++] = c;
            i++;
            partStart = i;
            partWholeStart = wholeLength;
        }

        visitor.Visit(whole[partWholeStart..wholeLength], partStart, i, TokenKind.Word);
        var suffix = LanguageSuffix(text, start, i);
        if (suffix > 0)
        {
            text.Slice(i, suffix).CopyTo(whole[wholeLength..]);
            wholeLength += suffix;
            isIdentifier = true;
            i += suffix;
        }

        if (isIdentifier && (parts > 0 || suffix > 0))
            visitor.Visit(whole[..wholeLength], start, i, TokenKind.Identifier);
        return i;
    }

    private static bool Joins(char c, char previous, char next) => c switch
    {
        '-' or '_' or '.' or '@' or '&' => true,
        '\'' or '\u2019' => char.IsLetter(previous) && char.IsLetter(next),
        ',' => char.IsAsciiDigit(previous) && char.IsAsciiDigit(next),
        ':' => char.IsAsciiDigit(previous) && char.IsAsciiDigit(next),
        _ => false,
    };

    /// <summary>The length of the <c>#</c> or <c>++</c> that makes a short name a language's: C#, F#, C++.</summary>
    private static int LanguageSuffix(ReadOnlySpan<char> text, int start, int end)
    {
        if (end - start > 2 || !char.IsAsciiLetter(text[end - 1]))
            return 0;
        var rest = text[end..];
        var length = rest.StartsWith("++") ? 2 : rest.StartsWith("#") ? 1 : 0;
        return length > 0 && (length == rest.Length || Scripts.Of(rest[length]) == CharClass.Other) ? length : 0;
    }

    private static int VisitGrams<TVisitor>(ReadOnlySpan<char> text, int start, CharClass kind, ref TVisitor visitor)
        where TVisitor : struct, ITokenVisitor
    {
        var end = start + 1;
        while (end < text.Length && (Scripts.Of(text[end]) == kind || Scripts.Of(text[end]) == CharClass.Mark || IsSecondHalf(text, end)))
            end++;
        Span<char> gram = stackalloc char[8];
        var width = CharacterWidth(text, start, end);
        var isSingle = start + width >= end;
        for (var i = start; i < end; i += width)
        {
            width = CharacterWidth(text, i, end);
            if (kind == CharClass.Ideograph || isSingle)
                visitor.Visit(text.Slice(i, width), i, i + width, TokenKind.Gram);
            var second = i + width;
            if (second >= end)
                break;
            var length = width + CharacterWidth(text, second, end);
            text.Slice(i, length).CopyTo(gram);
            visitor.Visit(gram[..length], i, i + length, TokenKind.Gram);
        }

        if (kind == CharClass.Hangul && !isSingle)
            visitor.Visit(text[start..end], start, end, TokenKind.Identifier);
        return end;
    }

    private static bool IsSecondHalf(ReadOnlySpan<char> text, int i) => char.IsLowSurrogate(text[i]) && char.IsHighSurrogate(text[i - 1]);

    private static int CharacterWidth(ReadOnlySpan<char> text, int i, int end) =>
        i + 1 < end && char.IsHighSurrogate(text[i]) && char.IsLowSurrogate(text[i + 1]) ? 2 : 1;

    private static bool ContainsDigit(ReadOnlySpan<char> text) => text.ContainsAnyInRange('0', '9');

    private readonly struct Collector(List<Token> tokens) : ITokenVisitor
    {
        public List<Token> Tokens => tokens;

        public void Visit(scoped ReadOnlySpan<char> term, int start, int end, TokenKind kind)
        {
            if (!term.IsEmpty)
                tokens.Add(new Token(term.ToString(), start, end, kind));
        }
    }
}
