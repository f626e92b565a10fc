using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.OutputFilter;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.ApiService.Agents;

/// <summary>The way of an answer's text from the model to the run's log: filtered, its markers turned into citations. One per turn; not thread-safe.</summary>
internal sealed class AnswerStream(AnswerFilter filter, IReadOnlyList<Passage> passages, RunWriter writer)
{
    private readonly CitationResolver _citations = new(passages);

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
        await writer.EmitAsync(new FilterApplied { Kind = "citation" }, ct);
    }

    private async ValueTask SayAsync(IReadOnlyList<string> actions, CancellationToken ct)
    {
        foreach (var kind in actions)
            await writer.EmitAsync(new FilterApplied { Kind = kind }, ct);
    }

    private async ValueTask EmitAsync(IReadOnlyList<AnswerPiece> pieces, CancellationToken ct)
    {
        foreach (var piece in pieces)
        {
            if (piece.Citation is { } citation)
                await writer.EmitAsync(CitationAdded.From(citation), ct);
            else
                await writer.DeltaAsync(piece.Text, ct);
        }
    }
}
