using System.Globalization;
using System.Text;
using AgentFlow.Contracts.Runs;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.ApiService.Context;

/// <summary>A piece of an answer on its way out: text, or the citation that the text's next marker stands for.</summary>
internal readonly record struct AnswerPiece(string Text, Citation? Citation);

/// <summary>
/// Turns a model's markers (<c>[2]</c>, <c>[1, 3]</c>, wherever the stream splits them) into citations whose quote is cut from the
/// passage's stored text, narrowed to the sentences that support what was just said. Markers are numbered anew, one number for each
/// quoted range, in order of appearance, announced once; a marker that names no passage is removed with the space before it and counted. Code between
/// backticks is left alone. Holds back only a marker's beginning. Not thread-safe; one per answer.
/// </summary>
internal sealed class CitationResolver(IReadOnlyList<Passage> passages)
{
    /// <summary>Longer brackets are not markers.</summary>
    private const int MaxMarkerLength = 24;
    private const int MaxClaimLength = 2_000;

    private readonly Dictionary<int, Passage> _passages = passages.ToDictionary(p => p.Number);
    private readonly Dictionary<(int Passage, int Start, int End), int> _numbers = [];
    private readonly StringBuilder _held = new();
    private readonly StringBuilder _claim = new();
    private readonly StringBuilder _out = new();
    private readonly List<AnswerPiece> _pieces = [];
    private bool _claimIsCited;
    private bool _inCode;

    /// <summary>Markers removed because they named no passage.</summary>
    public int Unresolved { get; private set; }

    /// <summary>Takes the stream's next text and gives what can be shown; citations come right before the text with their marker.</summary>
    public IReadOnlyList<AnswerPiece> Write(string text)
    {
        _pieces.Clear();
        foreach (var c in text)
            Write(c);
        FlushText();
        return [.. _pieces];
    }

    /// <summary>What was held back, when the stream has ended.</summary>
    public IReadOnlyList<AnswerPiece> End()
    {
        _pieces.Clear();
        Release();
        FlushText();
        return [.. _pieces];
    }

    private void Write(char c)
    {
        if (c == '`')
        {
            Release();
            _inCode = !_inCode;
            Emit(c);
        }
        else if (_inCode)
        {
            Emit(c);
        }
        else if (c == '[')
        {
            ReleaseUnlessSpace();
            _held.Append(c);
        }
        else if (HoldsBracket)
        {
            WriteInBracket(c);
        }
        else
        {
            Release();
            if (c == ' ')
                _held.Append(c);
            else
                Emit(c);
        }
    }

    /// <summary>What is held is nothing, one space, or a bracket with at most one space before it.</summary>
    private bool HoldsBracket => _held.Length > 1 || (_held.Length == 1 && _held[0] == '[');

    private void WriteInBracket(char c)
    {
        if (c == ']' && TryReadNumbers(out var numbers))
        {
            Cite(numbers);
            return;
        }

        _held.Append(c);
        if (!(char.IsAsciiDigit(c) || c is ',' or ';' or ' ' or '^') || _held.Length > MaxMarkerLength)
            Release();
    }

    private bool TryReadNumbers(out List<int> numbers)
    {
        numbers = [];
        var bracket = _held.ToString().TrimStart(' ');
        foreach (var part in bracket[1..].TrimStart('^').Split([',', ';'], StringSplitOptions.TrimEntries))
        {
            if (part.Length is 0 or > 3 || !int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
                return false;
            numbers.Add(number);
        }

        return true;
    }

    private void Cite(List<int> numbers)
    {
        var space = _held[0] == ' ';
        _held.Clear();
        var claim = Claim();
        foreach (var number in numbers)
        {
            if (!_passages.TryGetValue(number, out var passage))
            {
                Unresolved++;
                continue;
            }

            if (space)
                _out.Append(' ');
            space = false;
            Add(passage, SupportingSentences.Find(passage.Text, claim));
        }

        _claimIsCited = true;
    }

    private void Add(Passage passage, TextSpan span)
    {
        var key = (passage.Number, span.Start, span.End);
        if (!_numbers.TryGetValue(key, out var index))
        {
            _numbers[key] = index = _numbers.Count + 1;
            FlushText();
            _pieces.Add(new AnswerPiece("", Quote(passage, span, index)));
        }

        _out.Append('[').Append(index).Append(']');
    }

    private static Citation Quote(Passage passage, TextSpan span, int index) => new()
    {
        Index = index,
        DocumentId = passage.DocumentId,
        ChunkId = passage.ChunkId,
        DocumentName = passage.DocumentName,
        Page = passage.Page,
        Start = passage.Start + span.Start,
        End = passage.Start + span.End,
        Quote = passage.Text[span.Start..span.End],
    };

    /// <summary>The last sentence said; a marker often stands behind its full stop.</summary>
    private string Claim()
    {
        var text = _claim.ToString();
        var sentences = SentenceSplitter.Split(text);
        return sentences.Count == 0 ? text : text[sentences[^1].Start..sentences[^1].End];
    }

    private void Emit(char c)
    {
        _out.Append(c);
        if (_claimIsCited && !char.IsWhiteSpace(c) && !char.IsPunctuation(c))
        {
            _claim.Clear();
            _claimIsCited = false;
        }

        if (_claim.Length == MaxClaimLength)
            _claim.Remove(0, MaxClaimLength / 2);
        _claim.Append(c);
    }

    private void ReleaseUnlessSpace()
    {
        if (HoldsBracket)
            Release();
    }

    private void Release()
    {
        for (var i = 0; i < _held.Length; i++)
            Emit(_held[i]);
        _held.Clear();
    }

    private void FlushText()
    {
        if (_out.Length == 0)
            return;
        _pieces.Add(new AnswerPiece(_out.ToString(), null));
        _out.Clear();
    }
}
