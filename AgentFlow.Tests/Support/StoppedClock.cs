namespace AgentFlow.Tests.Support;

/// <summary>
/// Time that does not pass for whoever measures it, so that no bucket refills and no cache grows old while a slow machine is at a test.
/// The date and timers go on.
/// </summary>
internal sealed class StoppedClock : TimeProvider
{
    public override long GetTimestamp() => 1_000_000_000_000;
}
