using System.Collections.Concurrent;
using System.Text;

namespace AgentFlow.ApiService.OutputFilter;

/// <summary>The words of an agent's instructions and their places, as <see cref="PromptGuard"/> looks for them; made once for each text. Thread-safe.</summary>
internal sealed class PromptWords
{
    /// <summary>Instructions that are remembered; beyond, all are forgotten: an installation has few agents.</summary>
    private const int MaxKnown = 64;

    private static readonly ConcurrentDictionary<string, PromptWords> Known = new(StringComparer.Ordinal);

    private readonly string[] _words;
    private readonly string[] _sorted;
    private readonly Dictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> _places;

    private PromptWords(string instructions)
    {
        _words = [.. Split(instructions).Select(Fold).Where(w => w.Length > 0)];
        var places = _words.Index().GroupBy(w => w.Item, w => w.Index, StringComparer.Ordinal).ToDictionary(w => w.Key, w => w.ToArray(), StringComparer.Ordinal);
        _sorted = [.. places.Keys.Order(StringComparer.Ordinal)];
        _places = places.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    public static PromptWords Of(string instructions)
    {
        if (Known.TryGetValue(instructions, out var words))
            return words;
        if (Known.Count >= MaxKnown)
            Known.Clear();
        return Known[instructions] = new(instructions);
    }

    /// <summary>Whether a word stands at a place.</summary>
    /// <param name="place">Counted in words, from 0; beyond the last there is none.</param>
    /// <param name="word">Folded.</param>
    public bool IsAt(int place, ReadOnlySpan<char> word) => place < _words.Length && word.SequenceEqual(_words[place]);

    /// <summary>Where a folded word stands; empty if nowhere.</summary>
    public ReadOnlySpan<int> PlacesOf(ReadOnlySpan<char> word) => _places.TryGetValue(word, out var places) ? places : [];

    /// <summary>Whether any word begins so; any does with nothing.</summary>
    public bool AnyBegins(ReadOnlySpan<char> folded)
    {
        var (low, high) = (0, _sorted.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_sorted[middle].AsSpan().SequenceCompareTo(folded) < 0)
                low = middle + 1;
            else
                high = middle;
        }

        return folded.Length == 0 || (low < _sorted.Length && _sorted[low].AsSpan().StartsWith(folded));
    }

    /// <summary>What counts of a character: letters and digits, whatever their case; null for others.</summary>
    public static char? Fold(char c) => char.IsLetterOrDigit(c) ? char.ToLowerInvariant(c) : null;

    /// <summary>Chinese, Japanese and Korean, Thai, Lao, Burmese and Khmer: a space ends no word there.</summary>
    public static bool IsWordByItself(char c) => c is >= '\u2E80' or (>= '\u0E00' and <= '\u0EFF') or (>= '\u1000' and <= '\u109F') or (>= '\u1780' and <= '\u17FF');

    private static IEnumerable<string> Split(string text)
    {
        var word = new StringBuilder();
        foreach (var c in text)
        {
            if (!char.IsWhiteSpace(c) && !IsWordByItself(c))
            {
                word.Append(c);
                continue;
            }

            if (word.Length > 0)
                yield return word.ToString();
            word.Clear();
            if (!char.IsWhiteSpace(c))
                yield return c.ToString();
        }

        if (word.Length > 0)
            yield return word.ToString();
    }

    private static string Fold(string word) => string.Concat(word.Select(Fold).OfType<char>());
}
