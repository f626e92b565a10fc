namespace AgentFlow.Tests.Support;

/// <summary>The real time, or later by what a test says, so that something expires without anybody waiting for it.</summary>
internal sealed class ShiftedClock : TimeProvider
{
    public TimeSpan Ahead { get; set; }

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Ahead;
}
