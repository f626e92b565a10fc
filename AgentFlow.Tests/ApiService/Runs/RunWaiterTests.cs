using AgentFlow.ApiService.Runs;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Runs;

public sealed class RunWaiterTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task News_end_a_wait_and_the_next_one_waits_again()
    {
        var tail = new RunTail();
        using var waiter = new RunWaiter(TimeProvider.System);
        var read = new List<StoredEvent>();
        for (var seq = 1; seq <= 3; seq++)
        {
            Assert.True(tail.TryRead(seq - 1, read, out var version));
            Assert.True(tail.Listen(version, waiter, Long));
            var waiting = waiter.WaitAsync(Ct).AsTask();
            Assert.False(waiting.IsCompleted);

            tail.Publish([new(seq, "e", default)]);

            Assert.True(await waiting);
            Assert.True(tail.TryRead(seq - 1, read, out _));
        }

        Assert.Equal([1L, 2, 3], read.Select(evt => evt.Seq));
    }

    [Fact]
    public async Task News_between_the_look_and_the_wait_are_not_missed()
    {
        var tail = new RunTail();
        using var waiter = new RunWaiter(TimeProvider.System);
        Assert.True(tail.TryRead(0, [], out var version));

        tail.Pulse();

        Assert.False(tail.Listen(version, waiter, Long));
        Assert.True(tail.TryRead(0, [], out version));
        Assert.True(tail.Listen(version, waiter, Long));
        tail.Pulse();
        Assert.True(await waiter.WaitAsync(Ct));
    }

    [Fact]
    public async Task Time_ends_a_wait_and_news_may_still_end_the_next()
    {
        var (tail, time) = (new RunTail(), new ManualClock());
        using var waiter = new RunWaiter(time);
        Assert.True(tail.TryRead(0, [], out var version));
        Assert.True(tail.Listen(version, waiter, Long));
        var waiting = waiter.WaitAsync(Ct).AsTask();

        time.Advance(Long - TimeSpan.FromSeconds(1));
        Assert.False(waiting.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));

        Assert.False(await waiting);
        Assert.True(tail.Listen(version, waiter, Long));
        waiting = waiter.WaitAsync(Ct).AsTask();
        tail.Pulse();
        Assert.True(await waiting);
    }

    [Fact]
    public async Task A_timer_of_an_earlier_wait_does_not_end_a_later_one()
    {
        var (tail, time) = (new RunTail(), new ManualClock());
        using var waiter = new RunWaiter(time);
        Assert.True(tail.TryRead(0, [], out var version));
        Assert.True(tail.Listen(version, waiter, TimeSpan.FromSeconds(10)));
        var waiting = waiter.WaitAsync(Ct).AsTask();
        tail.Pulse();
        Assert.True(await waiting);
        Assert.True(tail.TryRead(0, [], out version));
        time.Advance(TimeSpan.FromSeconds(9));

        Assert.True(tail.Listen(version, waiter, TimeSpan.FromSeconds(10)));
        waiting = waiter.WaitAsync(Ct).AsTask();
        time.Advance(TimeSpan.FromSeconds(9));
        Assert.False(waiting.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));

        Assert.False(await waiting);
    }

    [Fact]
    public async Task A_reader_that_leaves_ends_its_wait_and_no_other()
    {
        var tail = new RunTail();
        using var leaving = new CancellationTokenSource();
        using var one = new RunWaiter(TimeProvider.System);
        using var other = new RunWaiter(TimeProvider.System);
        Assert.True(tail.TryRead(0, [], out var version));
        Assert.True(tail.Listen(version, one, Long) && tail.Listen(version, other, Long));
        var (first, second) = (one.WaitAsync(leaving.Token).AsTask(), other.WaitAsync(Ct).AsTask());

        await leaving.CancelAsync();

        await Assert.ThrowsAsync<OperationCanceledException>(() => first);
        Assert.False(second.IsCompleted);
        tail.Forget(one);
        tail.Pulse();
        Assert.True(await second);
    }

    /// <summary>Whoever ends a wait first, each wait ends once, and none is lost.</summary>
    [Fact]
    public async Task Waits_end_once_while_news_time_and_readers_race()
    {
        var tail = new RunTail();
        var publishing = Task.Run(
            () =>
            {
                for (var seq = 1; seq <= 20_000; seq++)
                    tail.Publish([new(seq, "e", default)]);
            },
            Ct);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(
            async () =>
            {
                using var waiter = new RunWaiter(TimeProvider.System);
                var (read, position) = (new List<StoredEvent>(), 0L);
                while (position < 20_000)
                {
                    read.Clear();

                    // A tail keeps its newest events; older ones are the log's to read.
                    position = tail.TryRead(position, read, out var version) ? read.Count > 0 ? read[^1].Seq : position : tail.LastSeq;
                    if (read.Count == 0 && position < 20_000 && tail.Listen(version, waiter, TimeSpan.FromMilliseconds(1)))
                        await waiter.WaitAsync(Ct);
                }
            },
            Ct)));
        await publishing;
    }
}
