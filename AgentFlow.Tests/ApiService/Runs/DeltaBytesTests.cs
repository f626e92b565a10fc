using System.Text;
using System.Text.Json;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Tests.ApiService.Runs;

public sealed class DeltaBytesTests
{
    private static readonly DateTimeOffset At = new(2026, 11, 21, 10, 0, 0, 120, TimeSpan.Zero);

    [Theory]
    [InlineData("Hello")]
    [InlineData(" \"quoted\" \\ <b>&amp;</b> \n\t\u0001")]
    [InlineData("naïve 日本語 😀 \ufffd")]
    [InlineData("")]
    public void A_delta_has_the_bytes_that_the_serializer_makes(string text)
    {
        var run = RunId.New();
        DateTimeOffset[] times = [At, At.AddTicks(1_234_567), new(At.Date, TimeSpan.Zero)];

        Assert.All(times, at => Assert.Equal(
            Text(StoredEvent.From(new MessageDelta { Text = text, RunId = run, Seq = 12_345, At = at })),
            Text(StoredEvent.FromDelta(run, 12_345, at, text))));
    }

    [Fact]
    public void Longer_texts_than_the_last_one_and_shorter_ones_are_whole()
    {
        var run = RunId.New();
        foreach (var length in new[] { 1, 5_000, 3, 70_000, 2 })
        {
            var stored = StoredEvent.FromDelta(run, 1, At, new string('x', length));

            Assert.Equal(length, Assert.IsType<MessageDelta>(stored.Parse()).Text.Length);
            Assert.Equal(StoredEvent.Delta, stored.Type);
        }
    }

    [Fact]
    public void Neighbouring_deltas_become_one_event_up_to_its_longest_length()
    {
        using var run = new RunHandle(RunId.New(), OwnerId.New(), ConversationId.New(), fence: 1, lastSeq: 3);
        string[] texts = ["a", "", "b", "c", new('d', 4_000), new('e', 100), new('f', 5_000), "g"];
        var batch = new RunBatch(run);
        foreach (var text in texts[..4])
            batch.Add(new(run, new MessageDelta { Text = text }, null));
        batch.Add(new(run, new UsageReported { InputTokens = 1, OutputTokens = 2 }, null));
        foreach (var text in texts[4..])
            batch.Add(new(run, new MessageDelta { Text = text }, null));

        batch.Seal(At);

        Assert.Equal(["abc", null, texts[4], texts[5], texts[6], "g"], batch.Stored.Select(evt => (evt.Parse() as MessageDelta)?.Text));
        Assert.Equal([4L, 5, 6, 7, 8, 9], batch.Stored.Select(evt => evt.Seq));
        Assert.All(batch.Stored, evt => Assert.Equal((run.RunId, evt.Seq, At), (evt.Parse().RunId, evt.Parse().Seq, evt.Parse().At)));
    }

    private static string Text(StoredEvent evt) => Encoding.UTF8.GetString(evt.Data.Span);
}
