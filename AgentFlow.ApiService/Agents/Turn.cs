using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts.Runs;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Agents;

/// <summary>What one turn knows and has used: prompt, messages so far, tokens. Not thread-safe.</summary>
internal sealed class Turn
{
    /// <summary>How often a prompt that the provider calls too long is halved.</summary>
    private const int MaxShrinks = 2;

    private readonly RunContext _run;
    private readonly Recalled _recalled;
    private readonly IReadOnlyList<string> _noted;
    private readonly List<ChatMessage> _messages;
    private HistoryCompacted? _compaction;
    private int _promptTokens;
    private int _shrinks;
    private int _steps;
    private long _inputTokens;
    private long _outputTokens;
    private decimal? _cost;

    public Turn(RunContext run, Recalled recalled, IReadOnlyList<string> noted, ChatModel model)
    {
        (_run, _recalled, _noted, Model) = (run, recalled, noted, model);
        var window = Math.Min(model.ContextTokens, run.Agent.Limits.ContextTokens ?? int.MaxValue);
        _promptTokens = Math.Max(window - Math.Min(run.Agent.Limits.OutputTokens, window / 4), window / 2);
        Prompt = Assemble() ?? throw new RunFailedException(
            "context_too_long", "The question is longer than the model can take.", StatusCodes.Status400BadRequest);
        _messages = [.. Prompt.Messages];
    }

    public ChatModel Model { get; }

    public Prompt Prompt { get; private set; }

    public IReadOnlyList<ChatMessage> Messages => _messages;

    /// <summary>Some text went out: a failure can no longer be mended by asking again.</summary>
    public bool HasAnswered { get; private set; }

    public TurnState State => new(_steps, 0, _outputTokens, 0);

    public UsageReported Usage => new() { InputTokens = _inputTokens, OutputTokens = _outputTokens, Cost = _cost };

    public void BeginStep() => _steps++;

    public ChatOptions Options() => new()
    {
        Instructions = Prompt.Instructions,
        MaxOutputTokens = _run.Agent.Limits.OutputTokens,
        Temperature = (float?)_run.Agent.Temperature,
        AdditionalProperties = new() { [AnswerSources.Key] = Prompt.Sources },
    };

    public void Saw(AIContent content)
    {
        switch (content)
        {
            case TextContent:
                HasAnswered = true;
                break;
            case UsageContent usage:
                _inputTokens += usage.Details.InputTokenCount ?? 0;
                _outputTokens += usage.Details.OutputTokenCount ?? 0;
                if (usage.AdditionalProperties?.GetValueOrDefault(Measured.CostKey) is decimal cost)
                    _cost = (_cost ?? 0) + cost;
                break;
        }
    }

    /// <summary>Halves the prompt after the provider called it too long. False: it can not be helped.</summary>
    public bool TryShrink()
    {
        if (HasAnswered || _shrinks == MaxShrinks)
            return false;
        _shrinks++;
        _promptTokens = Math.Min(_promptTokens, Prompt.EstimatedTokens) / 2;
        if (Assemble() is not { } shorter)
            return false;
        Prompt = shorter;
        _messages.Clear();
        _messages.AddRange(shorter.Messages);
        _steps--;
        return true;
    }

    /// <summary>The event to write, once for each time that history was compacted.</summary>
    public HistoryCompacted? TakeCompaction() => Interlocked.Exchange(ref _compaction, null);

    private Prompt? Assemble()
    {
        var prompt = PromptAssembly.Assemble(_run, _recalled, _noted, _promptTokens, toolTokens: 0);
        _compaction = prompt?.Compacted;
        return prompt;
    }
}
