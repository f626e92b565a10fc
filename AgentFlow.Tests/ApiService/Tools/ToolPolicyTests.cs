using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Tools;

namespace AgentFlow.Tests.ApiService.Tools;

public sealed class ToolPolicyTests
{
    [Theory]
    [InlineData(null, false, false, "Deny")]
    [InlineData("Deny", false, false, "Deny")]
    [InlineData("Ask", false, false, "Ask")]
    [InlineData("Allow", false, false, "Run")]
    [InlineData("Allow", true, false, "Run")]
    [InlineData("Allow", false, true, "Run")]
    [InlineData("Allow", true, true, "Ask")]
    [InlineData("Deny", true, true, "Deny")]
    public void A_call_runs_asks_or_is_denied(string? granted, bool hasSideEffects, bool readUntrustedText, string decision) => Assert.Equal(
        Enum.Parse<ToolDecision>(decision),
        ToolPolicy.Decide(granted is null ? null : Enum.Parse<ToolPolicyKind>(granted), hasSideEffects, readUntrustedText));
}
