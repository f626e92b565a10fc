using System.Text;

namespace AgentFlow.ApiService.OutputFilter;

/// <summary>
/// Keeps an agent from reciting its instructions: <see cref="Run"/> words in a row that stand so in the instructions are withheld, and so is
/// what follows as long as it goes on. Fewer words are enough where they are long, and in scripts without spaces each character is half a
/// word. Holds back from the third such word on, at most <see cref="MaxHeld"/> characters. Case and punctuation do not count, nor where
/// the stream is split. Not thread-safe.
/// </summary>
internal sealed class PromptGuard(string instructions, Action<string> act)
{
    public const int MaxHeld = 80;
    public const string Mask = "[instructions withheld]";

    /// <summary>Half words.</summary>
    private const int Run = 16;

    /// <summary>Half words.</summary>
    private const int HoldFrom = 6;

    /// <summary>So many letters in a row are no coincidence, and more words could not be held.</summary>
    private const int RunLetters = 48;

    private readonly PromptWords _instructions = PromptWords.Of(instructions);
    private readonly StringBuilder _word = new();
    private readonly StringBuilder _held = new();
    private readonly StringBuilder _out = new();

    /// <summary>What counts of <see cref="_word"/>.</summary>
    private readonly List<char> _folded = [];

    /// <summary>Where in the instructions the last words stand in a row.</summary>
    private readonly List<int> _matches = [];

    private int _halfWords;
    private int _letters;
    private bool _isWithholding;

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

    private ReadOnlySpan<char> Folded => System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_folded);

    private void Take(char c)
    {
        if (char.IsWhiteSpace(c))
        {
            EndWord();
            Put(c);
        }
        else if (PromptWords.IsWordByItself(c))
        {
            EndWord();
            Append(c);
            EndWord();
        }
        else
        {
            Append(c);

            // Nothing of the instructions is near: no word needs to be complete before it is shown.
            if (_halfWords == 0 && _held.Length == 0 && !_isWithholding && !_instructions.AnyBegins(Folded))
                FlushWord();
        }

        if (_word.Length + _held.Length > MaxHeld)
            Forget();
    }

    private void Append(char c)
    {
        _word.Append(c);
        if (PromptWords.Fold(c) is { } folded)
            _folded.Add(folded);
    }

    private void EndWord()
    {
        if (_word.Length == 0)
            return;
        if (_folded.Count > 0)
            Match(Folded);
        PutWord();
        if (IsRecited && !_isWithholding)
        {
            _isWithholding = true;
            _held.Clear();
            _out.Append(Mask);
            act("system-prompt");
        }
        else if (_halfWords < HoldFrom && !_isWithholding)
        {
            Flush(_held);
        }
    }

    private bool IsRecited => _halfWords >= Run || (_halfWords >= HoldFrom && _letters >= RunLetters);

    private void Match(ReadOnlySpan<char> word)
    {
        var weight = PromptWords.IsWordByItself(word[0]) ? 1 : 2;
        var kept = 0;
        for (var i = 0; i < _matches.Count; i++)
        {
            if (_instructions.IsAt(_matches[i] + 1, word))
                _matches[kept++] = _matches[i] + 1;
        }

        if (kept > 0)
        {
            _matches.RemoveRange(kept, _matches.Count - kept);
            (_halfWords, _letters) = (_halfWords + weight, _letters + word.Length);
            return;
        }

        StopWithholding();
        _matches.Clear();
        _matches.AddRange(_instructions.PlacesOf(word));
        (_halfWords, _letters) = _matches.Count > 0 ? (weight, word.Length) : (0, 0);
    }

    private void StopWithholding()
    {
        if (!_isWithholding)
            return;
        _isWithholding = false;
        _held.Clear();
        _out.Append(' ');
    }

    private void PutWord()
    {
        if (!_isWithholding && _halfWords >= HoldFrom)
        {
            _held.Append(_word);
        }
        else if (!_isWithholding)
        {
            Flush(_held);
            _out.Append(_word);
        }

        ClearWord();
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

    private void Forget()
    {
        StopWithholding();
        Flush(_held);
        FlushWord();
        (_halfWords, _letters) = (0, 0);
        _matches.Clear();
    }

    private void FlushWord()
    {
        _out.Append(_word);
        ClearWord();
    }

    private void ClearWord()
    {
        _word.Clear();
        _folded.Clear();
    }

    private void Flush(StringBuilder text)
    {
        _out.Append(text);
        text.Clear();
    }
}
