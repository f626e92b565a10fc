using System.Collections.Frozen;

namespace AgentFlow.ApiService.Documents.Extraction.Encodings;

/// <summary>How letters are put together, which decides what is odd in a word.</summary>
internal enum Script
{
    /// <summary>Letters with marks among ASCII letters.</summary>
    Latin,

    /// <summary>Every letter is outside ASCII.</summary>
    Alphabet,

    /// <summary>Characters of two bytes.</summary>
    Ideographs,
}

/// <summary>What text of one language outside ASCII looks like: costs are natural logarithms of one over the probability, roughly.</summary>
internal sealed class Language
{
    public const double FirstTier = 4.2;
    private const double NextTier = 1.2;

    private readonly FrozenDictionary<char, double> costs;

    private Language(string name, Script script, Dictionary<char, double> costs, string words)
    {
        Name = name;
        Script = script;
        this.costs = costs.ToFrozenDictionary();
        Words = words.Split(' ', StringSplitOptions.RemoveEmptyEntries).ToFrozenSet(StringComparer.Ordinal);
    }

    public string Name { get; }

    public Script Script { get; }

    /// <summary>Frequent words that are ASCII: they tell languages of one alphabet apart.</summary>
    public FrozenSet<string> Words { get; }

    /// <returns>The cost of a character in lower case, or null where the language does not use it.</returns>
    public double? CostOf(char character) => costs.TryGetValue(character, out var cost) ? cost : null;

    /// <param name="tiers">Letters with marks from the frequent to the rare ones, in up to four groups parted by |.</param>
    public static Language Latin(string name, string tiers, string words)
    {
        var letters = new Dictionary<char, double>();
        var cost = FirstTier;
        foreach (var tier in tiers.Split('|'))
        {
            foreach (var letter in tier)
                letters.TryAdd(letter, cost);
            cost += NextTier;
        }

        return new Language(name, Script.Latin, letters, words);
    }

    /// <param name="ranked">Letters from the most to the least frequent, of which a text has about thirty times as many.</param>
    public static Language Alphabet(string name, string ranked)
    {
        var letters = Ranked(ranked, 0, rank => 3.3 * rank / ranked.Length);
        var all = Math.Log(letters.Values.Sum(cost => Math.Exp(-cost)));
        return new Language(name, Script.Alphabet, letters.ToDictionary(letter => letter.Key, letter => letter.Value + all), string.Empty);
    }

    /// <param name="ranked">The most frequent characters, which make two thirds of a text.</param>
    /// <param name="syllables">A syllabary beside them, from the frequent to the rare.</param>
    public static Language Ideographs(string name, string ranked, string syllables = "")
    {
        var characters = Ranked(syllables, 3.2, rank => 0.045 * rank);
        foreach (var (character, cost) in Ranked(ranked, 4, rank => Math.Log(1 + (rank / 12d))))
            characters.TryAdd(character, cost);
        return new Language(name, Script.Ideographs, characters, string.Empty);
    }

    private static Dictionary<char, double> Ranked(string letters, double first, Func<int, double> more)
    {
        var characters = new Dictionary<char, double>();
        for (var rank = 0; rank < letters.Length; rank++)
            characters.TryAdd(letters[rank], first + more(rank));
        return characters;
    }
}
