using System.Text;
using System.Text.Json;
using AgentFlow.Retrieval.Index.Qdrant;

namespace AgentFlow.Tests.Retrieval.Index;

public sealed class QdrantHitsTests
{
    [Fact]
    public void Hits_are_read_whatever_stands_between_their_members()
    {
        var answer = """
            {"usage": {"cpu": [1, {"x": 2}]}, "result": [{"points": [
                {"id": "01a2002b-638d-7865-98a7-f61454ddea7e", "version": 3, "score": 0.25, "vector": {"other": [1, 2], "stamp": [5.0, 2.0, 1.0]}},
                {"payload": {"session": "s", "position": 7}, "vector": null, "id": "01a2002b-638d-7865-98a7-f61454ddea7f"}]}, {"points": []}], "status": "ok"}
            """;

        var results = QdrantHits.Read(Encoding.UTF8.GetBytes(answer));

        Assert.Equal([2, 0], results.Select(hits => hits.Count));
        Assert.Equal(new QdrantHit(Guid.Parse("01a2002b-638d-7865-98a7-f61454ddea7e"), 0.25, new PointStamp((2L << 24) + 5, IsTurn: true), null), results[0][0]);
        Assert.Equal((null, null, 7), (results[0][1].Score, results[0][1].Stamp, results[0][1].Payload!.Value.GetProperty("position").GetInt32()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("<html>")]
    [InlineData("""{"status": "ok"}""")]
    [InlineData("""{"result": {"points": []}}""")]
    [InlineData("""{"result": [7]}""")]
    [InlineData("""{"result": [{"hits": []}]}""")]
    [InlineData("""{"result": [{"points": [{"score": 1}]}]}""")]
    [InlineData("""{"result": [{"points": [{"id": 7}]}]}""")]
    [InlineData("""{"result": [{"points": [{"id": "seven"}]}]}""")]
    [InlineData("""{"result": [{"points": [{"id": "01a2002b-638d-7865-98a7-f61454ddea7e", "vector": {"stamp": [1, 2]}}]}]}""")]
    [InlineData("""{"result": [{"points": [{"id": "01a2002b-638d-7865-98a7-f61454ddea7e", "score": "high"}]}]}""")]
    [InlineData("""{"result": [{"points": [{"id": "01a2002b-638d-7865-98a7-f61454ddea7e", "score": 0.5}""")]
    public void Another_form_is_an_error_that_the_client_knows(string answer)
    {
        var error = Record.Exception(() => QdrantHits.Read(Encoding.UTF8.GetBytes(answer)));
        Assert.True(error is JsonException or InvalidOperationException or FormatException, $"{error}");
    }
}
