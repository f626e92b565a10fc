using System.Text;
using AgentFlow.ApiService.Models.OpenAICompatible;

namespace AgentFlow.Tests.ApiService.Models;

public sealed class EventStreamTests
{
    private static CancellationToken Limit => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("data: a\n\ndata: b\n\n")]
    [InlineData("data: a\r\n\r\ndata: b\r\n\r\n")]
    [InlineData("data: a\r\rdata: b\r\r")]
    [InlineData("\uFEFFdata:a\n: comment\nevent: x\nid: 7\n\ndata: b\n")]
    public async Task Lines_are_the_same_however_they_end_and_wherever_they_are_split(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var size = 1; size <= bytes.Length; size++)
            Assert.Equal(["a", "b"], await ReadAsync(bytes, size));
    }

    [Fact]
    public async Task Characters_split_between_reads_stay_whole()
    {
        var bytes = Encoding.UTF8.GetBytes("data: é𝄞漢\n");
        for (var size = 1; size <= bytes.Length; size++)
            Assert.Equal(["é𝄞漢"], await ReadAsync(bytes, size));
    }

    [Fact]
    public async Task An_unfinished_line_is_no_event() => Assert.Equal(["a"], await ReadAsync("data: a\ndata: b"u8.ToArray(), 3));

    [Fact]
    public async Task What_is_not_utf8_or_too_long_is_refused()
    {
        await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync([.. "data: "u8, 0xC3, 0x28, (byte)'\n'], 64));
        await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(Encoding.UTF8.GetBytes("data: " + new string('x', 200_000)), 4096));
    }

    private static async Task<List<string>> ReadAsync(byte[] bytes, int readSize)
    {
        using var stream = new SlicedStream(bytes, readSize);
        return await EventStream.ReadDataAsync(stream, maxLineBytes: 100_000, maxStreamBytes: 1_000_000, Limit).Select(data => Encoding.UTF8.GetString(data.Span)).ToListAsync(Limit);
    }

    private sealed class SlicedStream(byte[] bytes, int readSize) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, readSize)], cancellationToken);
    }
}
