using System.Text;

namespace AgentFlow.Tests.Support;

public sealed class ScriptedProviderTests
{
    private static CancellationToken Limit => TestContext.Current.CancellationToken;

    private const string StreamRequest =
        """{"model":"scripted","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}""";

    [Fact]
    public async Task A_stream_is_the_scripts_bytes_and_ends_with_done()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        using var client = new HttpClient();
        var script = Script.Say("Hello", " world");
        provider.Enqueue(script);

        using var response = await PostAsync(client, provider);
        var body = await response.Content.ReadAsByteArrayAsync(Limit);

        Assert.Equal(script.Body(), body);
        Assert.EndsWith("data: [DONE]\n\n", Encoding.UTF8.GetString(body), StringComparison.Ordinal);
        Assert.Equal("hi", Assert.Single(provider.Requests).LastMessage);
    }

    [Fact]
    public async Task A_cut_closes_the_connection_at_exactly_that_byte()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        using var client = new HttpClient();
        var script = Script.Say("Hello") with { CutAtByte = 17 };
        provider.Enqueue(script);

        using var response = await PostAsync(client, provider);
        await using var stream = await response.Content.ReadAsStreamAsync(Limit);
        var buffer = new byte[64];
        var read = await stream.ReadAtLeastAsync(buffer, 17, throwOnEndOfStream: true, Limit);

        Assert.Equal(17, read);
        await Assert.ThrowsAsync<HttpIOException>(async () => await stream.ReadExactlyAsync(buffer, Limit));
    }

    [Fact]
    public async Task A_caller_that_leaves_is_counted()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        using var client = new HttpClient();
        provider.Enqueue(Script.SayThenStall("Hello"));

        (await PostAsync(client, provider)).Dispose();
        await provider.WaitForAbortAsync(Limit);

        Assert.Equal(1, provider.AbortCount);
    }

    private static async Task<HttpResponseMessage> PostAsync(HttpClient client, ScriptedProvider provider)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, provider.Endpoint + "/chat/completions")
        {
            Content = new StringContent(StreamRequest, Encoding.UTF8, "application/json"),
        };
        return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Limit);
    }
}
