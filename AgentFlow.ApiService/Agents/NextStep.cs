namespace AgentFlow.ApiService.Agents;

/// <summary>What a turn has used up so far.</summary>
/// <param name="Steps">Calls of the model.</param>
/// <param name="PendingCalls">Tool calls that the last answer asks for.</param>
/// <param name="BrokenCalls">Calls whose arguments were no JSON.</param>
[System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Auto)]
internal readonly record struct TurnState(int Steps, int ToolCalls, long OutputTokens, int PendingCalls, int BrokenCalls = 0);

/// <summary>What a turn does next. Decided by <see cref="After"/>, which is pure.</summary>
internal abstract record NextStep
{
    /// <param name="WithTools">False for the last call: the model must answer with what it has.</param>
    public sealed record CallModel(bool WithTools) : NextStep;

    /// <param name="Allowed">How many of the pending calls may run; the others are refused.</param>
    public sealed record RunTools(int Allowed) : NextStep;

    public sealed record Finish : NextStep;

    /// <summary>
    /// Model, then tools, until the model asks for none. The step before the last limit still calls the model, without tools, so that the
    /// user gets an answer from what was found.
    /// </summary>
    public static NextStep After(TurnState state, AgentLimits limits)
    {
        if (state.Steps == 0)
            return new CallModel(WithTools: limits.Steps > 1 && limits.ToolCalls > 0);
        if (state.PendingCalls == 0 || state.Steps >= limits.Steps)
            return new Finish();
        return new RunTools(Math.Min(state.PendingCalls, Math.Max(0, limits.ToolCalls - state.ToolCalls)));
    }

    /// <summary>A model that writes broken arguments is told so this often; then it must answer without tools.</summary>
    private const int MaxBrokenCalls = 2;

    /// <summary>After tools have run.</summary>
    public static CallModel AfterTools(TurnState state, AgentLimits limits) =>
        new(WithTools: state.Steps + 1 < limits.Steps && state.ToolCalls < limits.ToolCalls && state.OutputTokens < limits.OutputTokens
            && state.BrokenCalls <= MaxBrokenCalls);
}
