using System.Text.Json;

namespace AgentFlow.Contracts.Runs;

public enum ApprovalChoice
{
    Approve,
    Deny,
}

/// <summary>Body of <c>POST /api/runs/{runId}/approvals/{callId}</c>.</summary>
public sealed record ApprovalRequest
{
    public required ApprovalChoice Decision { get; init; }

    /// <summary>With approve: run the tool with these arguments instead.</summary>
    public JsonElement? Arguments { get; init; }
}

/// <param name="Decision">approve or deny: what holds now.</param>
public sealed record ApprovalAnswer(string CallId, ApprovalChoice Decision);
