using System.Text;

namespace AgentFlow.ApiService.OutputFilter;

/// <summary>
/// Keeps an agent from reciting its instructions: <see cref="Run"/> words in a row that stand so in the instructions are withheld, and so is
/// what follows as long as it goes on. Fewer words are enough where they are long, and in scripts without spaces each character is half a
/// word. Holds back from the third such word on, at most <see cref="MaxHeld"/> characters. Case and punctuation do not count, nor where
/// the stream is split. Not thread-safe.
/// </summary>
internal sealed class PromptGuard
{
    public const int MaxHeld = 80;
    public const string Mask = "[instructions withheld]";

    /// <summary>Half words.</summary>
    private const int Run = 16;

    /// <summary>Half words.</summary>
    private const int HoldFrom = 6;

    /// <summary>So many letters in a row are no coincidence, and more words could not be held.</summary>
    private const int RunLetters = 48;

    private readonly string[] _words;
    private readonly string[] _sorted;
    private readonly ILookup<string, int> _places;
    private readonly Action<string> _act;
    private readonly StringBuilder _word = new();
    private readonly StringBuilder _held = new();
    private readonly StringBuilder _out = new();
    private List<int> _matches = [];
    private int _halfWords;
    private int _letters;
    private bool _isWithholding;

    public PromptGuard(string instructions, Action<string> act)
    {
        _act = act;
        _words = [.. Split(instructions).Select(Fold).Where(w => w.Length > 0)];
        _places = _words.Index().ToLookup(w => w.Item, w => w.Index, StringComparer.Ordinal);
        _sorted = [.. _words.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
    }

    public string Write(string text)
    {
        _out.Clear();
        foreach (var c in text)
            Take(c);
        return _out.ToString();
    }

    public string End()
    {
        _out.Clear();
        EndWord();
        Flush(_held);
        return _out.ToString();
    }

    private void Take(char c)
    {
        if (char.IsWhiteSpace(c))
        {
            EndWord();
            Put(c);
        }
        else if (IsWordByItself(c))
        {
            EndWord();
            _word.Append(c);
            EndWord();
        }
        else
        {
            _word.Append(c);

            // Nothing of the instructions is near: no word needs to be complete before it is shown.
            if (_halfWords == 0 && _held.Length == 0 && !_isWithholding && !MayBeWord())
                Flush(_word);
        }

        if (_word.Length + _held.Length > MaxHeld)
            Forget();
    }

    private void EndWord()
    {
        if (_word.Length == 0)
            return;
        var word = Fold(_word.ToString());
        if (word.Length > 0)
            Match(word);
        Put(_word.ToString());
        _word.Clear();
        if (IsRecited && !_isWithholding)
        {
            _isWithholding = true;
            _held.Clear();
            _out.Append(Mask);
            _act("system-prompt");
        }
        else if (_halfWords < HoldFrom && !_isWithholding)
        {
            Flush(_held);
        }
    }

    private bool IsRecited => _halfWords >= Run || (_halfWords >= HoldFrom && _letters >= RunLetters);

    private void Match(string word)
    {
        var weight = IsWordByItself(word[0]) ? 1 : 2;
        var next = _matches.Select(at => at + 1).Where(at => at < _words.Length && _words[at] == word).ToList();
        if (next.Count > 0)
        {
            (_matches, _halfWords, _letters) = (next, _halfWords + weight, _letters + word.Length);
            return;
        }

        StopWithholding();
        _matches = [.. _places[word]];
        (_halfWords, _letters) = _matches.Count > 0 ? (weight, word.Length) : (0, 0);
    }

    private void Put(string text)
    {
        if (_isWithholding)
            return;
        if (_halfWords >= HoldFrom)
            _held.Append(text);
        else
            _out.Append(Take(_held)).Append(text);
    }

    private void Put(char c)
    {
        if (_isWithholding)
            return;
        if (_held.Length > 0)
            _held.Append(c);
        else
            _out.Append(c);
    }

    private bool MayBeWord()
    {
        var begun = Fold(_word.ToString());
        if (begun.Length == 0)
            return true;
        var at = Array.BinarySearch(_sorted, begun, StringComparer.Ordinal);
        return at >= 0 || (~at < _sorted.Length && _sorted[~at].StartsWith(begun, StringComparison.Ordinal));
    }

    private void StopWithholding()
    {
        if (!_isWithholding)
            return;
        _isWithholding = false;
        _held.Clear();
        _out.Append(' ');
    }

    private void Forget()
    {
        StopWithholding();
        Flush(_held);
        Flush(_word);
        (_halfWords, _letters) = (0, 0);
        _matches = [];
    }

    private void Flush(StringBuilder text) => _out.Append(Take(text));

    private static string Take(StringBuilder text)
    {
        var taken = text.ToString();
        text.Clear();
        return taken;
    }

    /// <summary>Chinese, Japanese and Korean, Thai, Lao, Burmese and Khmer: a space ends no word there.</summary>
    private static bool IsWordByItself(char c) => c is >= '\u2E80' or (>= '\u0E00' and <= '\u0EFF') or (>= '\u1000' and <= '\u109F') or (>= '\u1780' and <= '\u17FF');

    private static IEnumerable<string> Split(string text)
    {
        var word = new StringBuilder();
        foreach (var c in text)
        {
            if (char.IsWhiteSpace(c) || IsWordByItself(c))
            {
                if (word.Length > 0)
                    yield return Take(word);
                if (!char.IsWhiteSpace(c))
                    yield return c.ToString();
            }
            else
            {
                word.Append(c);
            }
        }

        if (word.Length > 0)
            yield return word.ToString();
    }

    private static string Fold(string word) => string.Concat(word.Where(char.IsLetterOrDigit)).ToLowerInvariant();
}
