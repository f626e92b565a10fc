using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.OutputFilter;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.ApiService.Agents;

/// <summary>The way of an answer's text from the model to the run's log: filtered, its markers turned into citations. One per turn; not thread-safe.</summary>
internal sealed class AnswerStream(AnswerFilter filter, IReadOnlyList<Passage> passages, RunWriter writer)
{
    private readonly CitationResolver _citations = new(passages);
    private readonly RunWriter _log = writer;
    private RunWriter _writer = writer;
    private int _skip;

    /// <summary>
    /// Finds the place of a stream that another process began: reads what the model had said once more, without a word to the log, and
    /// then says what the log lacks.
    /// </summary>
    public async ValueTask ReplayAsync(string said, CancellationToken ct)
    {
        var silent = new RunWriter(_log.RunId, static (_, _) => ValueTask.CompletedTask);
        _writer = silent;
        if (said.Length > 0)
            await WriteAsync(said, ct);
        _writer = _log;
        var (again, logged) = (silent.Text, _log.Text);
        _skip = Math.Max(0, logged.Length - again.Length);
        if (again.Length > logged.Length)
            await _log.DeltaAsync(again[logged.Length..], ct);
    }

    public async ValueTask WriteAsync(string text, CancellationToken ct)
    {
        await EmitAsync(_citations.Write(filter.Write(text)), ct);
        await SayAsync(filter.Actions(), ct);
    }

    /// <summary>Lets go of what was held back.</summary>
    public async ValueTask EndAsync(CancellationToken ct)
    {
        await EmitAsync(_citations.Write(filter.End()), ct);
        await EmitAsync(_citations.End(), ct);
        await SayAsync(filter.Actions(), ct);
        if (_citations.Unresolved == 0)
            return;
        Telemetry.CitationsUnresolved.Add(_citations.Unresolved);
        await _writer.EmitAsync(new FilterApplied { Kind = "citation" }, ct);
    }

    private async ValueTask SayAsync(IReadOnlyList<string> actions, CancellationToken ct)
    {
        foreach (var kind in actions)
            await _writer.EmitAsync(new FilterApplied { Kind = kind }, ct);
    }

    private async ValueTask EmitAsync(IReadOnlyList<AnswerPiece> pieces, CancellationToken ct)
    {
        foreach (var piece in pieces)
        {
            if (piece.Citation is { } citation)
                await _writer.EmitAsync(CitationAdded.From(citation), ct);
            else if (Unsaid(piece.Text) is { Length: > 0 } text)
                await _writer.DeltaAsync(text, ct);
        }
    }

    private string Unsaid(string text)
    {
        if (_skip == 0)
            return text;
        var known = Math.Min(_skip, text.Length);
        _skip -= known;
        return text[known..];
    }
}
