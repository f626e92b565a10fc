using System.Buffers;
using System.Text;

namespace AgentFlow.ApiService.OutputFilter;

/// <summary>
/// Takes secrets, foreign images, foreign links and HTML out of a stream of markdown, whatever the borders of its pieces. Reads character by
/// character and holds back only what may be the beginning of such a thing, at most <see cref="MaxHeld"/> characters; what is still open
/// then is made inert by escaping its first character, or masked if it looks like a key. Not thread-safe.
/// </summary>
internal sealed class MarkupGuard(LinkRules links, Action<string> act)
{
    public const int MaxHeld = 150;

    private const string ImageMask = "[image removed]";
    private const string PemStart = "-----BEGIN ";
    private const string PemEnd = "-----END ";
    private static readonly string[] Addresses = ["http://", "https://", "www."];
    private static readonly SearchValues<char> WordBeginnings = SearchValues.Create(
        [.. Addresses.SelectMany(a => new[] { a[0], char.ToUpperInvariant(a[0]) }), .. SecretPatterns.Prefixes.Select(p => p[0])]);

    private readonly StringBuilder _held = new();
    private readonly StringBuilder _out = new();
    private readonly StringBuilder _window = new();
    private Mode _mode;
    private char _last = '\n';

    private enum Mode
    {
        Text,

        /// <summary>The rest of a key that was masked.</summary>
        InSecret,

        /// <summary>Between the lines of a private key.</summary>
        InPem,

        /// <summary>The rest of a long foreign address, inside backticks.</summary>
        InAddress,
    }

    private enum Verdict
    {
        /// <summary>More is needed.</summary>
        Partial,

        /// <summary>Nothing of ours.</summary>
        No,

        /// <summary>Complete, the last character belongs to it.</summary>
        Whole,

        /// <summary>Complete before the last character.</summary>
        WholeBeforeLast,
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
        while (_held.Length > 0)
            EndHeld();
        if (_mode == Mode.InAddress)
            _out.Append('`');
        _mode = Mode.Text;
        return _out.ToString();
    }

    private void Take(char c)
    {
        switch (_mode)
        {
            case Mode.InSecret when SecretPatterns.IsKeyCharacter(c):
                return;
            case Mode.InPem:
                TakeInPem(c);
                return;
            case Mode.InAddress when IsAddressCharacter(c):
                Emit(c);
                return;
            case Mode.InAddress:
                Emit('`');
                break;
        }

        _mode = Mode.Text;
        if (_held.Length == 0 && !MayBegin(c))
        {
            Emit(c);
            return;
        }

        _held.Append(c);
        Settle();
    }

    private void Settle()
    {
        switch (Judge())
        {
            case Verdict.No:
                Release();
                break;
            case Verdict.Whole:
                Replace(_held.ToString());
                break;
            case Verdict.WholeBeforeLast:
                var last = _held[^1];
                _held.Length--;
                Replace(_held.ToString());
                Take(last);
                break;
            case Verdict.Partial when _held.Length >= MaxHeld:
                Overflow();
                break;
        }
    }

    /// <summary>What may begin something; inside a word, keys and addresses do not begin.</summary>
    private bool MayBegin(char c) => c is '[' or '!' or '<' or '-' || (WordBeginnings.Contains(c) && !char.IsLetterOrDigit(_last));

    private Verdict Judge() => _held[0] switch
    {
        '[' => JudgeLink(0),
        '!' => _held.Length == 1 ? Verdict.Partial : _held[1] == '[' ? JudgeLink(1) : Verdict.No,
        '<' => JudgeTag(),
        '-' => JudgePem(),
        _ => JudgeWord(),
    };

    // "[text](address)", "![alt](address)", "![alt][reference]", "[reference]: address", or a mere "[1]".
    private Verdict JudgeLink(int bracket)
    {
        var text = _held.ToString();
        var close = text.IndexOf(']', bracket);
        if (close < 0)
            return text.EndsWith("\n\n", StringComparison.Ordinal) ? Verdict.No : Verdict.Partial;
        if (close == text.Length - 1)
            return Verdict.Partial;
        return text[close + 1] switch
        {
            '(' => text.IndexOf(')', close) > 0 ? Verdict.Whole : Verdict.Partial,
            '[' when bracket == 1 => text.IndexOf(']', close + 1) > 0 ? Verdict.Whole : Verdict.Partial,
            ':' when bracket == 0 && MayDefine => text.Length > close + 3 && char.IsWhiteSpace(text[^1]) && text[(close + 2)..].Trim().Length > 0 ? Verdict.WholeBeforeLast : Verdict.Partial,
            _ => Verdict.No,
        };
    }

    /// <summary>The definition of a reference begins its line; "dict[str, int]: ..." of a program is none.</summary>
    private bool MayDefine => char.IsWhiteSpace(_last) || _last is '>' or '*' or '-' or '+' or '.' or ')';

    private Verdict JudgeTag()
    {
        if (_held.Length == 1)
            return Verdict.Partial;
        if (!char.IsAsciiLetter(_held[1]) && _held[1] is not ('/' or '!' or '?'))
            return Verdict.No;
        return _held[^1] == '>' ? Verdict.Whole : Verdict.Partial;
    }

    private Verdict JudgePem()
    {
        var length = Math.Min(_held.Length, PemStart.Length);
        for (var i = 0; i < length; i++)
        {
            if (_held[i] != PemStart[i])
                return Verdict.No;
        }

        if (_held.Length < PemStart.Length + 5 || !EndsWith(_held, "-----"))
            return _held.Length > 80 ? Verdict.No : Verdict.Partial;
        return Contains("PRIVATE KEY") ? Verdict.Whole : Verdict.No;
    }

    private Verdict JudgeWord()
    {
        var text = _held.ToString();
        var mayBegin = false;
        foreach (var address in Addresses)
        {
            if (text.StartsWith(address, StringComparison.OrdinalIgnoreCase))
                return IsAddressCharacter(text[^1]) ? Verdict.Partial : Verdict.WholeBeforeLast;
            mayBegin |= address.StartsWith(text, StringComparison.OrdinalIgnoreCase);
        }

        foreach (var prefix in SecretPatterns.Prefixes)
        {
            if (text.StartsWith(prefix, StringComparison.Ordinal))
                return SecretPatterns.IsKeyCharacter(text[^1]) ? Verdict.Partial : Verdict.WholeBeforeLast;
            mayBegin |= prefix.StartsWith(text, StringComparison.Ordinal);
        }

        return mayBegin ? Verdict.Partial : Verdict.No;
    }

    private void Replace(string found)
    {
        _held.Clear();
        switch (found[0])
        {
            case '!':
                ReplaceImage(found);
                break;
            case '[':
                ReplaceLink(found);
                break;
            case '<':
                ReplaceTag(found);
                break;
            case '-':
                Mask();
                _mode = Mode.InPem;
                _window.Clear();
                break;
            default:
                ReplaceWord(found);
                break;
        }
    }

    private void ReplaceImage(string found)
    {
        var address = AddressOf(found);
        if (address is not null && LinkRules.AllowsImage(address))
        {
            Emit(found);
            return;
        }

        act("image");
        Emit(ImageMask);
    }

    private void ReplaceLink(string found)
    {
        var address = AddressOf(found) ?? found[(found.IndexOf("]:", StringComparison.Ordinal) + 2)..].Trim();
        if (links.Allows(address))
        {
            Emit(found);
            return;
        }

        act("link");
        var text = found[1..found.IndexOf(']')];
        Emit($"{text} (`{address.Replace('`', '\'')}`)");
    }

    private void ReplaceTag(string found)
    {
        var inside = found[1..^1];
        if (Addresses.Any(a => inside.StartsWith(a, StringComparison.OrdinalIgnoreCase)))
        {
            ReplaceWord(inside);
            return;
        }

        // Tags that can load or lead somewhere go; "a < b" and List<string> stay as text.
        if (inside.IndexOfAny(['=', ':']) < 0 && !inside.StartsWith("script", StringComparison.OrdinalIgnoreCase) && !inside.StartsWith("style", StringComparison.OrdinalIgnoreCase))
        {
            Emit(found);
            return;
        }

        act(inside.StartsWith("img", StringComparison.OrdinalIgnoreCase) ? "image" : "link");
        if (inside.StartsWith("img", StringComparison.OrdinalIgnoreCase))
            Emit(ImageMask);
    }

    private void ReplaceWord(string found)
    {
        if (Addresses.Any(a => found.StartsWith(a, StringComparison.OrdinalIgnoreCase)))
        {
            var address = found.TrimEnd('.', ',', ';', ':', '!', '?');
            if (!links.Allows(address))
            {
                act("link");
                Emit($"`{address}`{found[address.Length..]}");
                return;
            }
        }
        else if (SecretPatterns.IsSecret(found))
        {
            Mask();
            return;
        }

        Emit(found);
    }

    private void Mask()
    {
        act("secret");
        Emit(SecretPatterns.Mask);
    }

    /// <summary>Too long to be held further.</summary>
    private void Overflow()
    {
        var text = _held.ToString();
        if (char.IsLetter(text[0]) && SecretPatterns.IsSecret(text))
        {
            _held.Clear();
            Mask();
            _mode = Mode.InSecret;
        }
        else if (Addresses.Any(a => text.StartsWith(a, StringComparison.OrdinalIgnoreCase)))
        {
            _held.Clear();
            if (!links.Allows(text))
            {
                act("link");
                Emit('`');
                _mode = Mode.InAddress;
            }

            Emit(text);
        }
        else
        {
            Release();
        }
    }

    /// <summary>Lets the first character go, made inert where it could open something, and reads the others anew.</summary>
    private void Release()
    {
        var text = _held.ToString();
        _held.Clear();
        var isOpen = text.Length >= MaxHeld && text[0] is '[' or '<' or '!';
        if (isOpen && text[0] != '!')
            Emit('\\');
        if (!isOpen || text[0] != '!')
            Emit(text[0]);
        foreach (var c in text.AsSpan(1))
            Take(c);
    }

    private void EndHeld()
    {
        var text = _held.ToString();
        _held.Clear();
        if (char.IsLetter(text[0]))
        {
            ReplaceWord(text);
            return;
        }

        if (text[0] is '[' or '<' && text.Contains("//", StringComparison.Ordinal))
            Emit('\\');
        Emit(text[0]);
        foreach (var c in text.AsSpan(1))
            Take(c);
    }

    private void TakeInPem(char c)
    {
        _window.Append(c);
        if (_window.Length > 200)
            _window.Remove(0, 100);
        var text = _window.ToString();
        var end = text.IndexOf(PemEnd, StringComparison.Ordinal);
        if (end >= 0 && text.IndexOf("-----", end + PemEnd.Length, StringComparison.Ordinal) >= 0)
            _mode = Mode.Text;
    }

    private void Emit(string text)
    {
        _out.Append(text);
        if (text.Length > 0)
            _last = text[^1];
    }

    private void Emit(char c)
    {
        _out.Append(c);
        _last = c;
    }

    /// <summary>The address of "[text](address "title")".</summary>
    private static string? AddressOf(string found)
    {
        var open = found.IndexOf("](", StringComparison.Ordinal);
        return open < 0 ? null : found[(open + 2)..^1].Trim().Split([' ', '\t', '\n'], 2)[0].Trim('<', '>');
    }

    private static bool IsAddressCharacter(char c) => !char.IsWhiteSpace(c) && c is not ('<' or '>' or '"' or '\'' or '`' or ')' or ']' or '|');

    private static bool Same(char a, char b) => char.ToLowerInvariant(a) == char.ToLowerInvariant(b);

    private static bool EndsWith(StringBuilder text, string end) => text.Length >= end.Length && text.ToString(text.Length - end.Length, end.Length) == end;

    private bool Contains(string part) => _held.ToString().Contains(part, StringComparison.Ordinal);
}
