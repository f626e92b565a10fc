using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace AgentFlow.Tests.Support;

/// <summary>Bytes to a server exactly as written, and what came back. For requests that no client library would send.</summary>
internal sealed record RawHttp(int Status, string Head, string Body, bool Closed)
{
    /// <param name="request">Latin-1 text is sent byte by byte; <c>{host}</c> becomes the server's authority.</param>
    /// <param name="limit">Until an answer must be there.</param>
    public static Task<RawHttp> SendAsync(Uri server, string request, TimeSpan? limit = null) =>
        SendAsync(server, Encoding.Latin1.GetBytes(request.Replace("{host}", server.Authority, StringComparison.Ordinal)), limit);

    public static async Task<RawHttp> SendAsync(Uri server, byte[] request, TimeSpan? limit = null)
    {
        using var client = new TcpClient { NoDelay = true };
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(limit ?? TimeSpan.FromMinutes(2));
        await client.ConnectAsync(server.Host, server.Port, deadline.Token);
        await using var stream = client.GetStream();
        try
        {
            await stream.WriteAsync(request, deadline.Token);
        }
        catch (IOException)
        {
            // The server refused before it had read everything; its answer is there all the same.
        }

        return await ReadAsync(stream, deadline.Token);
    }

    public static async Task<RawHttp> ReadAsync(NetworkStream stream, CancellationToken ct)
    {
        var bytes = new MemoryStream();
        var buffer = new byte[16_384];
        var closed = false;
        try
        {
            while (!IsComplete(bytes))
            {
                var read = await stream.ReadAsync(buffer, ct);
                if (read == 0)
                {
                    closed = true;
                    break;
                }

                await bytes.WriteAsync(buffer.AsMemory(0, read), ct);
            }
        }
        catch (IOException)
        {
            closed = true;
        }

        var text = Encoding.Latin1.GetString(bytes.ToArray());
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var head = end < 0 ? text : text[..end];
        var status = head.StartsWith("HTTP/1.", StringComparison.Ordinal) && head.Length >= 12 ? int.Parse(head.AsSpan(9, 3), CultureInfo.InvariantCulture) : 0;
        return new RawHttp(status, head, end < 0 ? "" : text[(end + 4)..], closed || head.Contains("Connection: close", StringComparison.OrdinalIgnoreCase));
    }

    private static bool IsComplete(MemoryStream bytes)
    {
        var text = Encoding.Latin1.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0)
        {
            return false;
        }

        const string name = "Content-Length: ";
        var at = text.IndexOf(name, 0, end, StringComparison.OrdinalIgnoreCase);
        if (at >= 0)
        {
            var stop = text.IndexOf('\r', at);
            return text.Length - end - 4 >= int.Parse(text.AsSpan(at + name.Length, stop - at - name.Length), CultureInfo.InvariantCulture);
        }

        return text.Contains("Transfer-Encoding: chunked", StringComparison.OrdinalIgnoreCase) && text.EndsWith("0\r\n\r\n", StringComparison.Ordinal);
    }
}
