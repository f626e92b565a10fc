using AgentFlow.ApiService.Agents;

namespace AgentFlow.ApiService.Tools;

internal enum ToolDecision
{
    Run,
    Ask,
    Deny,
}

/// <summary>Decides whether a tool call may run. Enforced here, after the model: no prompt can change it. Pure.</summary>
internal static class ToolPolicy
{
    /// <param name="granted">The agent's grant; null: the tool was not granted.</param>
    /// <param name="hasSideEffects">See <see cref="Tool.HasSideEffects"/>.</param>
    /// <param name="readUntrustedText">See <see cref="ToolSession.ReadUntrustedText"/>: injected instructions may be what asks.</param>
    public static ToolDecision Decide(ToolPolicyKind? granted, bool hasSideEffects, bool readUntrustedText) => granted switch
    {
        null or ToolPolicyKind.Deny => ToolDecision.Deny,
        ToolPolicyKind.Ask => ToolDecision.Ask,
        _ => hasSideEffects && readUntrustedText ? ToolDecision.Ask : ToolDecision.Run,
    };
}
