using AgentFlow.ApiService.Limits;

namespace AgentFlow.Tests.ApiService.Limits;

public sealed class RateQuotaTests
{
    private readonly Clock clock = new();

    [Fact]
    public void A_bucket_holds_its_permits_and_refills_evenly()
    {
        var quota = new RateQuota(3, TimeSpan.FromSeconds(60), clock);
        Assert.Equal([2, 1, 0], Enumerable.Range(0, 3).Select(_ => quota.Take("a").Remaining));

        var refused = quota.Take("a");
        Assert.Equal((false, 0, TimeSpan.FromSeconds(20)), (refused.Taken, refused.Remaining, refused.RetryAfter));
        Assert.True(quota.Take("b").Taken);

        clock.Advance(TimeSpan.FromSeconds(19.9));
        Assert.False(quota.Take("a").Taken);
        clock.Advance(TimeSpan.FromSeconds(0.1));
        Assert.True(quota.Take("a").Taken);
        Assert.False(quota.Take("a").Taken);

        clock.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal([2, 1, 0], Enumerable.Range(0, 3).Select(_ => quota.Take("a").Remaining));
    }

    [Fact]
    public void Permits_can_be_given_back()
    {
        var quota = new RateQuota(2, TimeSpan.FromSeconds(60), clock);
        quota.Take("a");
        quota.Take("a");
        quota.Return("a");
        Assert.True(quota.Take("a").Taken);
        quota.Restore("a");
        Assert.Equal(1, quota.Take("a").Remaining);
    }

    [Fact]
    public void A_hundred_thousand_names_keep_the_number_of_partitions_bounded_and_share_what_is_left()
    {
        var quota = new RateQuota(2, TimeSpan.FromSeconds(60), clock, maxPartitions: 1_000);
        var taken = Enumerable.Range(0, 100_000).Count(i => quota.Take($"name {i}").Taken);

        Assert.InRange(quota.Partitions, 1_000, 1_000 + 256);
        Assert.InRange(taken, 1_000, 1_000 + (2 * 256));

        clock.Advance(TimeSpan.FromSeconds(61));
        Assert.True(quota.Take("late").Taken);
        Assert.InRange(quota.Partitions, 1, 10);
    }

    [Fact]
    public async Task Sixteen_at_once_never_take_more_than_there_is()
    {
        var quota = new RateQuota(100, TimeSpan.FromHours(1), clock);
        var taken = 0;
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 100; i++)
            {
                Interlocked.Add(ref taken, quota.Take("a").Taken ? 1 : 0);
            }
        })));

        Assert.Equal(100, taken);
    }

    private sealed class Clock : TimeProvider
    {
        private long ticks = 1;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Advance(TimeSpan by) => ticks += by.Ticks;

        public override long GetTimestamp() => ticks;
    }
}
