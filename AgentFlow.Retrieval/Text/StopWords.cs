using System.Collections.Frozen;

namespace AgentFlow.Retrieval.Text;

/// <summary>English words that say nothing about a text's subject; dropped from queries that hold anything else, kept in the index.</summary>
internal static class StopWords
{
    private static readonly FrozenSet<string> Words =
        ("a about above after again against all also am an and any are as at be because been before being below between both but by can ca could did " +
        "do does doing down during each few for from further had has have having he her here hers herself him himself his how i if in into is it " +
        "its itself just let like may me might more most must my myself no nor not now of off on once only or other our ours ourselves out over own " +
        "same shall she should so some such than that the their theirs them themselves then there these they this those through to too under until " +
        "up us very was we were what when where which while who whom whose why will with wo would you your yours yourself yourselves")
        .Split(' ').ToFrozenSet(StringComparer.Ordinal);

    private static readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> Lookup = Words.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <param name="term">Folded, not stemmed.</param>
    public static bool Contains(ReadOnlySpan<char> term) => term.Length <= 10 && Lookup.Contains(term);
}
