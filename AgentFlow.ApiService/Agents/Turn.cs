using System.Text;
using System.Text.Json;
using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Runs;
using AgentFlow.ApiService.Tools;
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
    private readonly StringBuilder _text = new();
    private readonly StringBuilder _said = new();
    private readonly List<FunctionCallContent> _pending = [];
    private readonly HashSet<string> _callIds = new(StringComparer.Ordinal);
    private readonly int _toolTokens;
    private HistoryCompacted? _compaction;
    private int _windowTokens;
    private int _promptTokens;
    private int _shrinks;
    private int _steps;
    private int _toolCalls;
    private int _brokenCalls;
    private int _callsBefore;
    private bool _isStepAccounted;
    private long _inputTokens;
    private long _outputTokens;
    private decimal? _cost;

    public Turn(RunContext run, Recalled recalled, IReadOnlyList<string> noted, ChatModel model, ToolSession tools)
    {
        (_run, _recalled, _noted, Model, Tools) = (run, recalled, noted, model, tools);
        _toolTokens = tools.Declarations.OfType<AIFunctionDeclaration>().Sum(t => TokenEstimate.Of(t.Name + t.Description + t.JsonSchema.GetRawText()));
        tools.ReadUntrustedText = recalled.Chunks.Count > 0 || run.SelectedText is not null || run.Context is not null || run.History.Any(past => past.SelectedText is not null || past.ReadUntrusted);
        var window = Math.Min(model.ContextTokens, run.Agent.Limits.ContextTokens ?? int.MaxValue);
        _promptTokens = _windowTokens = Math.Max(window - Math.Min(run.Agent.Limits.OutputTokens, window / 4), window / 2);
        Prompt = Assemble() ?? throw new RunFailedException(
            "context_too_long", "The question is longer than the model can take.", StatusCodes.Status400BadRequest);
        _messages = [.. Prompt.Messages];
    }

    public ChatModel Model { get; }

    public ToolSession Tools { get; }

    /// <summary>See <see cref="Recalled.LearnsByRules"/>.</summary>
    public bool LearnsByRules => _recalled.LearnsByRules;

    /// <summary>The calls that the last answer asks for.</summary>
    public IReadOnlyList<FunctionCallContent> PendingCalls => _pending;

    /// <summary>How long the model has been answering and tools have been running; what is spent waiting for people is not the agent's.</summary>
    public TimeSpan WorkTime { get; set; }

    public Prompt Prompt { get; private set; }

    public IReadOnlyList<ChatMessage> Messages => _messages;

    /// <summary>Some text went out: a failure can no longer be mended by asking again.</summary>
    public bool HasAnswered { get; private set; }

    public TurnState State => new(_steps, _toolCalls, _outputTokens, _pending.Count, _brokenCalls);

    /// <summary>As the providers said; a step that broke off is estimated, since its tokens are spent as well.</summary>
    public UsageReported Usage => _steps == 0 || _isStepAccounted
        ? new() { InputTokens = _inputTokens, OutputTokens = _outputTokens, Cost = _cost }
        : new()
        {
            InputTokens = _inputTokens + PromptAssembly.Cost(Prompt.Instructions, _messages),
            OutputTokens = _outputTokens + TokenEstimate.Of(_text.ToString()),
            Cost = _cost,
        };

    /// <summary>What the next call of the model may use at most.</summary>
    public (long Input, long Output) NextTokens => (Prompt.EstimatedTokens + TailCost, Math.Max(1, _run.Agent.Limits.OutputTokens - _outputTokens));

    /// <summary>Where the turn stands before its tools run.</summary>
    public TurnCheckpoint Checkpoint() => new()
    {
        Memories = _recalled.Memories,
        Chunks = _recalled.Chunks,
        Degraded = _recalled.Degraded,
        Noted = _noted,
        PromptTokens = _promptTokens,
        Messages = Tail,
        Pending = [.. _pending],
        CallsBefore = _callsBefore,
        Said = _said.ToString(),
        Text = _text.ToString(),
        Steps = _steps,
        ToolCalls = _toolCalls,
        BrokenCalls = _brokenCalls,
        InputTokens = _inputTokens,
        OutputTokens = _outputTokens,
        Cost = _cost,
        ModelTime = WorkTime,
        ReadUntrustedText = Tools.ReadUntrustedText,
    };

    /// <summary>Goes on where another process was; the prompt is assembled anew from what it was assembled from.</summary>
    public void Restore(TurnCheckpoint from)
    {
        _promptTokens = from.PromptTokens;
        Prompt = Assemble() ?? throw new InvalidOperationException("The prompt fitted before.");
        _compaction = null;
        _messages.Clear();
        _messages.AddRange([.. Prompt.Messages, .. from.Messages]);
        _pending.AddRange(from.Pending);
        _callIds.UnionWith(from.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>().Concat(from.Pending).Select(call => call.CallId));
        _text.Append(from.Text);
        _said.Append(from.Said);
        (_steps, _toolCalls, _brokenCalls, _callsBefore) = (from.Steps, from.ToolCalls, from.BrokenCalls, from.CallsBefore);
        (_inputTokens, _outputTokens, _cost, _isStepAccounted) = (from.InputTokens, from.OutputTokens, from.Cost, true);
        (WorkTime, HasAnswered) = (from.ModelTime, from.Said.Length > 0);
        Tools.ReadUntrustedText = from.ReadUntrustedText;
        Tools.ResumedAfterCalls = from.CallsBefore;
    }

    public void BeginStep()
    {
        Tools.ResumedAfterCalls = null;
        _callsBefore = Tools.Writer.CallsBegun;
        _steps++;
        _isStepAccounted = false;
        _text.Clear();
        _pending.Clear();
    }

    /// <summary>Keeps what the model said and asked for, and what the tools returned, for the next step.</summary>
    public void AddResults(IReadOnlyList<FunctionResultContent> results, int ran)
    {
        var said = new List<AIContent>(_pending);
        if (_text.Length > 0)
            said.Insert(0, new TextContent(_text.ToString()));
        _messages.Add(new ChatMessage(ChatRole.Assistant, said));
        _messages.Add(new ChatMessage(ChatRole.Tool, [.. results]));
        _toolCalls += ran;
        _brokenCalls += _pending.Count(c => c.Exception is not null);
        _pending.Clear();
    }

    /// <summary>What was handed in while the run goes on: quoted, and not to be trusted.</summary>
    public void Add(JsonElement context)
    {
        _messages.Add(PromptAssembly.Addition(_run, context));
        Tools.ReadUntrustedText = true;
    }

    public ChatOptions Options(bool withTools) => new()
    {
        Instructions = Prompt.Instructions,
        Tools = withTools && Tools.Declarations.Count > 0 ? Tools.Declarations : null,
        MaxOutputTokens = (int)Math.Max(1, _run.Agent.Limits.OutputTokens - _outputTokens),
        Temperature = (float?)_run.Agent.Temperature,
        AdditionalProperties = new() { [AnswerSources.Key] = Prompt.Sources },
    };

    /// <summary>Why the answer ends before its end, as the kind of the event that says so; null where it does not.</summary>
    public string? CutBy { get; private set; }

    /// <summary>The provider's reason, where the update has one.</summary>
    public void Saw(ChatFinishReason? reason) => CutBy = reason switch
    {
        null => CutBy,
        { } length when length == ChatFinishReason.Length => "length",
        { } filter when filter == ChatFinishReason.ContentFilter => "content-filter",
        _ => null,
    };

    public void Saw(AIContent content)
    {
        switch (content)
        {
            case TextContent text:
                HasAnswered = true;
                _text.Append(text.Text);
                _said.Append(text.Text);
                break;
            case FunctionCallContent call:
                _pending.Add(CallIds.MakeUnique(call, _callIds));
                break;
            case UsageContent usage:
                _isStepAccounted = true;
                _inputTokens += usage.Details.InputTokenCount ?? 0;
                _outputTokens += usage.Details.OutputTokenCount ?? 0;
                if (usage.AdditionalProperties?.GetValueOrDefault(Measured.CostKey) is decimal cost)
                    _cost = (_cost ?? 0) + cost;
                break;
        }
    }

    /// <summary>Shortens what tools returned where the next call of the model would be longer than its window.</summary>
    public void MakeRoom()
    {
        if (_messages.Count > Prompt.Messages.Count)
            FitTail(Math.Max(_windowTokens - Prompt.EstimatedTokens, _windowTokens / 4));
    }

    /// <summary>Halves the prompt, and with it what tools returned, after the provider called it too long. False: it can not be helped.</summary>
    public bool TryShrink()
    {
        if (_text.Length > 0 || _shrinks == MaxShrinks)
            return false;
        _shrinks++;
        _windowTokens = Math.Min(_windowTokens, Prompt.EstimatedTokens + TailCost) / 2;
        var isShorter = FitTail(_windowTokens / 2);
        var compaction = _compaction;
        _promptTokens = _windowTokens - TailCost;
        if (Assemble() is { } shorter)
        {
            var tail = Tail;
            Prompt = shorter;
            _messages.Clear();
            _messages.AddRange([.. shorter.Messages, .. tail]);
        }
        else if (!isShorter)
        {
            return false;
        }

        _compaction ??= compaction;
        _steps--;
        return true;
    }

    /// <summary>The event to write, once for each time that history was compacted.</summary>
    public HistoryCompacted? TakeCompaction() => Interlocked.Exchange(ref _compaction, null);

    /// <summary>What followed the prompt.</summary>
    private List<ChatMessage> Tail => [.. _messages.Skip(Prompt.Messages.Count)];

    private int TailCost => _messages.Skip(Prompt.Messages.Count).Sum(TokenEstimate.Of);

    private bool FitTail(int tokens)
    {
        var before = TailCost;
        var (fitted, shortened) = ToolResults.Fit(Tail, tokens);
        if (shortened == 0)
            return false;
        _messages.RemoveRange(Prompt.Messages.Count, _messages.Count - Prompt.Messages.Count);
        _messages.AddRange(fitted);
        _compaction = new HistoryCompacted { Messages = shortened, TokensBefore = before, TokensAfter = TailCost };
        return true;
    }

    private Prompt? Assemble()
    {
        var prompt = PromptAssembly.Assemble(_run, _recalled, _noted, _promptTokens, _toolTokens);
        _compaction = prompt?.Compacted;
        return prompt;
    }
}
