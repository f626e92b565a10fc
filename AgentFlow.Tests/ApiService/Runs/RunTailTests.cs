using AgentFlow.ApiService.Runs;

namespace AgentFlow.Tests.ApiService.Runs;

public sealed class RunTailTests
{
    /// <summary>As many as the tail keeps.</summary>
    private const int Kept = 1024;

    /// <summary>Against a list of everything, with pieces of all sizes and beginnings of all kinds.</summary>
    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 1)]
    [InlineData(3, 15)]
    [InlineData(4, 1023)]
    [InlineData(5, 4_000_000_123)]
    public void A_reader_gets_what_follows_its_place_or_is_sent_to_the_log(int seed, long committed)
    {
        var random = new Random(seed);
        var tail = new RunTail(committed);
        var all = new List<StoredEvent>();
        while (all.Count < 3 * Kept)
        {
            var piece = Enumerable.Range(1, random.Next(1, 40)).Select(i => Event(committed + all.Count + i)).ToArray();
            tail.Publish(piece);
            all.AddRange(piece);
            Assert.Equal(committed + all.Count, tail.LastSeq);
            foreach (var read in new[] { all.Count, all.Count - 1, all.Count - Kept, all.Count - Kept - 1, random.Next(all.Count + 1), 0 })
            {
                if (read < 0)
                    continue;
                var into = new List<StoredEvent>();
                var isKept = tail.TryRead(committed + read, into, out _);

                Assert.Equal(read >= all.Count - Kept, isKept);
                Assert.Equal(isKept ? all[read..] : [], into);
            }
        }
    }

    /// <summary>A tail of another process's run begins with what was written since, wherever its readers stand.</summary>
    [Fact]
    public void A_reader_from_before_the_tail_is_sent_to_the_log()
    {
        var tail = new RunTail(committed: 3);
        tail.Publish([Event(7), Event(8)]);
        var into = new List<StoredEvent>();

        Assert.False(tail.TryRead(3, into, out _));
        Assert.Empty(into);
        Assert.True(tail.TryRead(6, into, out _));
        Assert.Equal([Event(7), Event(8)], into);
    }

    private static StoredEvent Event(long seq) => new(seq, StoredEvent.Delta, default);
}
