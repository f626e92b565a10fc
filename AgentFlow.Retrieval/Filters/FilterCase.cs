namespace AgentFlow.Retrieval.Filters;

/// <summary>Folds case by single characters, the same way on every machine and in every evaluation; no locale, no special cases.</summary>
internal static class FilterCase
{
    private static readonly ILookup<char, char> ByFold = Enumerable.Range(1, char.MaxValue).Select(code => (char)code)
        .Where(c => !char.IsSurrogate(c)).ToLookup(Fold);

    public static char Fold(char c) => c is 'ς' ? 'σ' : c is 'İ' or 'ı' ? 'i' : char.ToLowerInvariant(c);

    public static string Fold(string text) => string.Create(text.Length, text, static (span, source) =>
    {
        for (var i = 0; i < span.Length; i++)
            span[i] = Fold(source[i]);
    });

    /// <summary>All characters that fold to the same one as this, itself included.</summary>
    public static string Variants(char c) => char.IsSurrogate(c) ? c.ToString() : string.Concat(ByFold[Fold(c)]);
}
