namespace AgentFlow.Retrieval.Text;

internal enum TokenKind : byte
{
    /// <summary>A word or number, folded but not stemmed.</summary>
    Word,

    /// <summary>The whole of an identifier such as <c>abc-123_x</c>, whose parts came before as words of their own.</summary>
    Identifier,

    /// <summary>One or two characters of a script without spaces.</summary>
    Gram,
}

/// <param name="Term">Folded text.</param>
/// <param name="Start">UTF-16 offset of its first character.</param>
/// <param name="End">UTF-16 offset after its last character.</param>
internal readonly record struct Token(string Term, int Start, int End, TokenKind Kind);

internal interface ITokenVisitor
{
    /// <param name="term">Folded; valid during the call only.</param>
    void Visit(scoped ReadOnlySpan<char> term, int start, int end, TokenKind kind);
}
