using System.Buffers.Binary;
using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.RegularExpressions;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>
/// A page of the Web without a browser: loads it, opens its circuit and acknowledges what is drawn, as Blazor's script does. For measuring what a
/// process holds for many people; nothing is shown. Speaks as much of the script's protocol (MessagePack over SignalR) as that takes.
/// </summary>
internal sealed partial class CircuitClient : IAsyncDisposable
{
    private readonly Uri _web;
    private readonly CookieContainer _cookies = new();
    private readonly HttpClient _http;
    private readonly ClientWebSocket _socket = new();
    private readonly CancellationTokenSource _stop = new();
    private Task _reading = Task.CompletedTask;

    public CircuitClient(Uri web)
    {
        _web = web;
        _http = new HttpClient(new SocketsHttpHandler { CookieContainer = _cookies, UseProxy = false }) { BaseAddress = web };
    }

    /// <summary>Batches that were drawn and acknowledged.</summary>
    public int Batches { get; private set; }

    public async Task SignUpAsync(string invite, string email, CancellationToken ct)
    {
        var address = "/sign-up?invite=" + Uri.EscapeDataString(invite);
        var fields = Inputs().Matches(await _http.GetStringAsync(address, ct)).ToDictionary(input => input.Groups["name"].Value, input => WebUtility.HtmlDecode(input.Groups["value"].Value), StringComparer.Ordinal);
        fields["Form.DisplayName"] = "Somebody";
        fields["Form.Email"] = email;
        fields["Form.Password"] = ChatPageDriver.Password;
        using var response = await _http.PostAsync(address, new FormUrlEncodedContent(fields), ct);
        var cookies = _cookies.GetCookies(_web);
        Assert.True(cookies["agentflow_session"] is not null, await response.Content.ReadAsStringAsync(ct));
    }

    /// <summary>Opens a page and its circuit; returns when the first batch was drawn.</summary>
    public async Task OpenAsync(string path, CancellationToken ct)
    {
        var html = await _http.GetStringAsync(path, ct);
        var markers = Markers().Matches(html).Select(marker => marker.Groups[1].Value).ToList();
        var state = State().Match(html).Groups[1].Value;
        _socket.Options.Cookies = _cookies;
        _socket.Options.SetRequestHeader("Origin", _web.GetLeftPart(UriPartial.Authority));
        await _socket.ConnectAsync(new UriBuilder(new Uri(_web, "/_blazor")) { Scheme = "ws" }.Uri, ct);
        await _socket.SendAsync(Encoding.UTF8.GetBytes("{\"protocol\":\"blazorpack\",\"version\":1}\u001e"), WebSocketMessageType.Text, true, ct);
        var drawn = new TaskCompletionSource();
        _reading = ReadAsync(drawn);
        await InvokeAsync("1", "StartCircuit", ct, _web.ToString(), new Uri(_web, path).ToString(), "[]", state);
        var operations = markers.Select((marker, i) => $$"""{"type":"add","ssrComponentId":{{i + 1}},"marker":{{marker}}}""");
        await InvokeAsync(null, "UpdateRootComponents", ct, $$"""{"batchId":1,"operations":[{{string.Join(',', operations)}}]}""", state);
        await drawn.Task.WaitAsync(ct);
    }

    /// <summary>The browser beside the circuit: the same cookies.</summary>
    public HttpClient Http => _http;

    /// <summary>The value of a cookie that the Web has set.</summary>
    public string Cookie(string name) => _cookies.GetAllCookies().First(cookie => cookie.Name.StartsWith(name, StringComparison.Ordinal)).Value;

    /// <summary>Something that was typed into a field, as the script tells it; no such field needs to be there.</summary>
    public Task TypeAsync(string text, CancellationToken ct) => InvokeAsync(
        null, "BeginInvokeDotNetFromJS", ct, "7", null, "DispatchEventAsync", 1,
        $$$"""[{"eventHandlerId":1,"eventName":"input","eventFieldInfo":{"componentId":1,"fieldValue":"{{{text}}}"}},{"value":"{{{text}}}"}]""");

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _socket.Abort();
        await _reading;
        _socket.Dispose();
        _http.Dispose();
        _stop.Dispose();
    }

    private async Task ReadAsync(TaskCompletionSource drawn)
    {
        var buffer = new byte[1 << 20];
        var held = 0;
        try
        {
            while (_socket.State is WebSocketState.Open)
            {
                if (held == buffer.Length)
                    Array.Resize(ref buffer, buffer.Length * 2);
                var part = await _socket.ReceiveAsync(buffer.AsMemory(held), _stop.Token);
                held += part.Count;
                if (part.MessageType is WebSocketMessageType.Close)
                    break;
                var used = 0;
                while (Message(buffer.AsSpan(used, held - used), out var start, out var length))
                {
                    if (BatchOf(buffer.AsSpan(used + start, length)) is { } batch)
                    {
                        await InvokeAsync(null, "OnRenderCompleted", _stop.Token, batch, null);
                        Batches++;
                        drawn.TrySetResult();
                    }

                    used += start + length;
                }

                buffer.AsSpan(used, held - used).CopyTo(buffer);
                held -= used;
            }
        }
        catch (Exception ended) when (ended is OperationCanceledException or WebSocketException)
        {
            // Closed.
        }

        drawn.TrySetException(new InvalidOperationException("The circuit was closed: " + Encoding.UTF8.GetString(buffer, 0, Math.Min(held, 400))));
    }

    /// <summary>A message is its length as a variable-length integer, then that many bytes. The answer to the handshake is text that ends with 0x1e.</summary>
    private static bool Message(ReadOnlySpan<byte> bytes, out int start, out int length)
    {
        (start, length) = (0, 0);
        if (bytes.Length > 0 && bytes[0] == (byte)'{')
        {
            start = bytes.IndexOf((byte)0x1e) + 1;
            return start > 0;
        }

        for (var shift = 0; start < bytes.Length; shift += 7)
        {
            var next = bytes[start++];
            length |= (next & 0x7f) << shift;
            if (next < 0x80)
                return start + length <= bytes.Length;
        }

        return false;
    }

    /// <summary><c>[1, {}, nil, "JS.RenderBatch", [number, bytes], []]</c></summary>
    private static int? BatchOf(ReadOnlySpan<byte> message)
    {
        var target = "JS.RenderBatch"u8;
        var at = message.Length > 40 ? message[..40].IndexOf(target) : -1;
        if (at < 0)
            return null;
        var number = message[(at + target.Length + 1)..];
        return number[0] switch
        {
            < 0x80 => number[0],
            0xcc => number[1],
            0xcd or 0xd1 => BinaryPrimitives.ReadInt16BigEndian(number[1..]),
            _ => BinaryPrimitives.ReadInt32BigEndian(number[1..]),
        };
    }

    private async Task InvokeAsync(string? id, string target, CancellationToken ct, params object?[] arguments)
    {
        var body = new List<byte> { 0x96, 0x01, 0x80 };
        Write(body, id);
        Write(body, target);
        body.Add((byte)(0x90 + arguments.Length));
        foreach (var argument in arguments)
            Write(body, argument);
        body.Add(0x90);
        var message = new List<byte>();
        for (var rest = body.Count; ; rest >>= 7)
        {
            message.Add((byte)(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest));
            if (rest <= 0x7f)
                break;
        }

        message.AddRange(body);
        await _socket.SendAsync(message.ToArray(), WebSocketMessageType.Binary, true, ct);
    }

    private static void Write(List<byte> body, object? value)
    {
        if (value is null)
        {
            body.Add(0xc0);
            return;
        }

        var length = new byte[4];
        if (value is int number)
        {
            BinaryPrimitives.WriteInt32BigEndian(length, number);
            body.Add(0xd2);
            body.AddRange(length);
            return;
        }

        var text = Encoding.UTF8.GetBytes((string)value);
        BinaryPrimitives.WriteInt32BigEndian(length, text.Length);
        body.Add(0xdb);
        body.AddRange(length);
        body.AddRange(text);
    }

    [GeneratedRegex("""<input type="hidden" name="(?<name>[^"]+)" value="(?<value>[^"]*)"\s*/?>""", RegexOptions.ExplicitCapture)]
    private static partial Regex Inputs();

    [GeneratedRegex("<!--Blazor:(\\{\"type\":\"server\".*?\\})-->")]
    private static partial Regex Markers();

    [GeneratedRegex("<!--Blazor-Server-Component-State:(.*?)-->")]
    private static partial Regex State();
}
