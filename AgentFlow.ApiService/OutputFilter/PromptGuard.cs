using System.Text;

namespace AgentFlow.ApiService.OutputFilter;

/// <summary>
/// Keeps an agent from reciting its instructions: <see cref="Run"/> words in a row that stand so in the instructions are withheld, and so is
/// what follows as long as it goes on. Holds back from the third such word on, at most <see cref="MaxHeld"/> characters. Case and
/// punctuation do not count. Not thread-safe.
/// </summary>
internal sealed class PromptGuard
{
    public const int MaxHeld = 80;
    public const string Mask = "[instructions withheld]";

    private const int Run = 8;
    private const int HoldFrom = 3;

    private readonly string[] _words;
    private readonly ILookup<string, int> _places;
    private readonly Action<string> _act;
    private readonly StringBuilder _word = new();
    private readonly StringBuilder _held = new();
    private readonly StringBuilder _out = new();
    private List<int> _matches = [];
    private int _length;
    private bool _isWithholding;

    public PromptGuard(string instructions, Action<string> act)
    {
        _act = act;
        _words = [.. Split(instructions).Select(Fold).Where(w => w.Length > 0)];
        _places = _words.Index().ToLookup(w => w.Item, w => w.Index, StringComparer.Ordinal);
    }

    public string Write(string text)
    {
        _out.Clear();
        foreach (var c in text)
        {
            if (!char.IsWhiteSpace(c))
            {
                _word.Append(c);

                // Nothing of the instructions is near: no word needs to be complete before it is shown.
                if (_length == 0 && _held.Length == 0 && !_isWithholding && !MayBeWord())
                    Flush(_word);
                continue;
            }

            EndWord();
            Put(c);
        }

        if (_word.Length + _held.Length > MaxHeld && !_isWithholding)
            Forget();
        return _out.ToString();
    }

    public string End()
    {
        _out.Clear();
        EndWord();
        Flush(_held);
        return _out.ToString();
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
        if (_length >= Run && !_isWithholding)
        {
            _isWithholding = true;
            _held.Clear();
            _out.Append(Mask);
            _act("system-prompt");
        }
        else if (_length < HoldFrom && !_isWithholding)
        {
            Flush(_held);
        }
    }

    private void Match(string word)
    {
        var next = _matches.Select(at => at + 1).Where(at => at < _words.Length && _words[at] == word).ToList();
        if (next.Count > 0)
        {
            (_matches, _length) = (next, _length + 1);
            return;
        }

        if (_isWithholding)
        {
            _isWithholding = false;
            _held.Clear();
            _out.Append(' ');
        }

        _matches = [.. _places[word]];
        _length = _matches.Count > 0 ? 1 : 0;
    }

    private void Put(string text)
    {
        if (_isWithholding)
            return;
        if (_length >= HoldFrom)
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
        return begun.Length == 0 || _places.Any(p => p.Key.StartsWith(begun, StringComparison.Ordinal));
    }

    private void Forget()
    {
        Flush(_held);
        Flush(_word);
        _length = 0;
        _matches = [];
    }

    private void Flush(StringBuilder text) => _out.Append(Take(text));

    private static string Take(StringBuilder text)
    {
        var taken = text.ToString();
        text.Clear();
        return taken;
    }

    private static string[] Split(string text) => text.Split([' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries);

    private static string Fold(string word) => string.Concat(word.Where(char.IsLetterOrDigit)).ToLowerInvariant();
}
