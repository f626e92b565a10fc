using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace AgentFlow.Tests.Support;

/// <summary>
/// A web server at 127.0.0.2, the only address that a fetch under test may dial, over raw sockets, so that lies about lengths and types are
/// possible. It answers by path, and counts what it got rid of.
/// </summary>
internal sealed class HostileWeb : IAsyncDisposable
{
    public const string Network = "127.0.0.2/32";

    private const string Ok = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    private static readonly byte[] Block = new byte[64 * 1024];

    private readonly TcpListener listener = new(IPAddress.Parse("127.0.0.2"), 0);
    private readonly CancellationTokenSource stop = new();
    private readonly List<Task> answers = [];
    private Task serving = Task.CompletedTask;
    private long sent;

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>Bytes that the system has taken from it, most of which nobody may have read.</summary>
    public long Sent => Interlocked.Read(ref sent);

    public string At(string path) => $"http://127.0.0.2:{Port}{path}";

    public string Redirect(string to) => At($"/to?{Uri.EscapeDataString(to)}");

    /// <summary>A page of these bytes, with this Content-Type.</summary>
    public string Page(string type, byte[] content) => At($"/page?{Uri.EscapeDataString(type)}&{Uri.EscapeDataString(Convert.ToBase64String(content))}");

    public void Start()
    {
        listener.Start();
        serving = ServeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await serving;
        await Task.WhenAll(answers);
        listener.Stop();
        stop.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                answers.Add(AnswerAsync(await listener.AcceptTcpClientAsync(stop.Token)));
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException)
        {
        }
    }

    private async Task AnswerAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                await using var stream = client.GetStream();
                using var reader = new StreamReader(stream, Encoding.ASCII, leaveOpen: true);
                if (await reader.ReadLineAsync(stop.Token) is not { } line)
                {
                    return;
                }

                var target = line.Split(' ')[1];
                while (await reader.ReadLineAsync(stop.Token) is { Length: > 0 })
                {
                }

                if (target is "/slow")
                {
                    await Task.Delay(Timeout.Infinite, stop.Token);
                }

                await WriteAsync(stream, Head(target));
                if (target is "/endless")
                {
                    await RepeatAsync(stream, Block, TimeSpan.Zero);
                }
                else if (target is "/trickle")
                {
                    await RepeatAsync(stream, new byte[1], TimeSpan.FromMilliseconds(10));
                }
            }
            catch (Exception error) when (error is IOException or OperationCanceledException)
            {
            }
        }
    }

    private async Task WriteAsync(NetworkStream stream, byte[] bytes)
    {
        await stream.WriteAsync(bytes, stop.Token);
        Interlocked.Add(ref sent, bytes.Length);
    }

    /// <summary>Until the other side has had enough.</summary>
    private async Task RepeatAsync(NetworkStream stream, byte[] bytes, TimeSpan pause)
    {
        while (true)
        {
            await WriteAsync(stream, bytes);
            if (pause > TimeSpan.Zero)
            {
                await Task.Delay(pause, stop.Token);
            }
        }
    }

    private byte[] Head(string target)
    {
        if (target.StartsWith("/to?", StringComparison.Ordinal))
        {
            return Moved(Uri.UnescapeDataString(target[4..]).Trim());
        }

        if (target.StartsWith("/page?", StringComparison.Ordinal))
        {
            var parts = target[6..].Split('&').Select(Uri.UnescapeDataString).ToArray();
            return [.. Encoding.ASCII.GetBytes($"{Ok}Content-Type: {parts[0]}\r\n\r\n"), .. Convert.FromBase64String(parts[1])];
        }

        // /hops/3 leads to /hops/2 and so on to a page.
        if (target.StartsWith("/hops/", StringComparison.Ordinal) && int.Parse(target.AsSpan(6)) is > 0 and var hops)
        {
            return Moved($"/hops/{hops - 1}");
        }

        return target switch
        {
            "/hello" => Encoding.ASCII.GetBytes($"{Ok}Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"),
            "/hops/0" => Encoding.ASCII.GetBytes($"{Ok}Content-Type: text/plain\r\n\r\nWords after some hops."),
            "/loop" => Moved("/loop"),
            "/lie" => Encoding.ASCII.GetBytes($"{Ok}Content-Length: 500\r\n\r\nshort"),
            "/longer" => Encoding.ASCII.GetBytes($"{Ok}Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello and what should not be there"),
            "/declared" => Encoding.ASCII.GetBytes($"{Ok}Content-Type: text/plain\r\nContent-Length: 1073741824\r\n\r\n"),
            "/big" => [.. Encoding.ASCII.GetBytes($"{Ok}\r\n"), .. new byte[5_000]],
            "/endless" or "/trickle" => Encoding.ASCII.GetBytes($"{Ok}Content-Type: text/plain\r\n\r\n"),
            "/bomb" => [.. Encoding.ASCII.GetBytes($"{Ok}Content-Type: text/plain\r\nContent-Encoding: gzip\r\n\r\n"), .. Gzip(100)],
            "/program.txt" => [.. Encoding.ASCII.GetBytes($"{Ok}Content-Type: text/plain\r\n\r\n"), .. "\u007fELF and so on"u8],
            "/paper.pdf" => Encoding.ASCII.GetBytes($"{Ok}Content-Type: application/pdf\r\n\r\n<html><script>alert(1)</script></html>"),
            "/picture.svg" => Encoding.ASCII.GetBytes($"{Ok}Content-Type: image/svg+xml\r\n\r\n<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
            "/empty.txt" => Encoding.ASCII.GetBytes($"{Ok}Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n"),
            "/status" => "HTTP/1.1 999 What\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray(),
            "/nowhere" => Moved("//"),
            "/noise" => "SSH-2.0-OpenSSH_9.2\r\n"u8.ToArray(),
            _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray(),
        };
    }

    private static byte[] Moved(string to) => Encoding.UTF8.GetBytes($"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");

    /// <param name="megabytes">Unpacked, of zeros.</param>
    private static byte[] Gzip(int megabytes)
    {
        using var bytes = new MemoryStream();
        using (var gzip = new GZipStream(bytes, CompressionLevel.Fastest))
        {
            var block = new byte[1_000_000];
            for (var i = 0; i < megabytes; i++)
            {
                gzip.Write(block);
            }
        }

        return bytes.ToArray();
    }
}
