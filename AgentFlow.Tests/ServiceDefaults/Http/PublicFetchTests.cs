using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ServiceDefaults.Http;

/// <summary>
/// Everything is judged at two listeners: one on every address of this machine that counts connections (there must be none), and one on
/// 127.0.0.2, the only address that the fetch under test may dial, which redirects to wherever its path says.
/// </summary>
public sealed class PublicFetchTests : IAsyncLifetime
{
    private static readonly FetchLimits Limits = new(1_000, Patience.Limit, MaxRedirects: 3);

    /// <summary>Spellings that are names go to the machine's resolver, which may have nobody to ask.</summary>
    private static readonly TimeSpan NameLimit = TimeSpan.FromSeconds(5);

    private readonly TcpListener inside = TcpListener.Create(0);
    private readonly HostileWeb outside = new();
    private readonly ConcurrentBag<string> hits = [];
    private readonly CancellationTokenSource stop = new();
    private Task accepting = Task.CompletedTask;

    private int Port => ((IPEndPoint)inside.LocalEndpoint).Port;

    public ValueTask InitializeAsync()
    {
        inside.Start();
        accepting = AcceptAsync();
        outside.Start();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        // A loop that is just between two calls would find its listener gone.
        await stop.CancelAsync();
        await accepting;
        inside.Stop();
        await outside.DisposeAsync();
        stop.Dispose();
    }

    [Fact]
    public async Task No_spelling_of_a_private_address_is_dialled_directly_by_redirect_or_by_rebinding()
    {
        var spellings = Spellings(Port);
        Assert.True(spellings.Count >= 60, $"{spellings.Count}");
        using var fetch = new PublicFetch([IPNetwork.Parse("127.0.0.2/32")], Resolve);
        var failures = new List<string>();
        foreach (var spelling in spellings)
        {
            foreach (var address in new[] { spelling, outside.Redirect(spelling), outside.Redirect(outside.Redirect(spelling)) })
            {
                try
                {
                    await fetch.GetAsync(address, Limits with { Timeout = NameLimit }, TestContext.Current.CancellationToken);
                    failures.Add($"fetched {address}");
                }
                catch (FetchRefusedException)
                {
                }
            }
        }

        Assert.Empty(failures);
        Assert.Empty(hits);
    }

    /// <summary>A proxy would be what is dialled and judged, and would dial anything itself.</summary>
    [Fact]
    public void No_proxy_of_the_environment_is_used()
    {
        using var handler = PublicAddressHandler.Create([]);

        Assert.False(handler.UseProxy);
    }

    [Theory]
    [InlineData("rebind.test")]
    [InlineData("mixed.test")]
    public async Task A_name_that_turns_private_after_its_first_answer_is_not_dialled_again(string host)
    {
        var answers = new Queue<IPAddress[]>([[IPAddress.Parse("127.0.0.2")], [IPAddress.Loopback], [IPAddress.Parse("::ffff:127.0.0.1"), IPAddress.IPv6Loopback]]);
        using var fetch = new PublicFetch([IPNetwork.Parse("127.0.0.2/32")], (_, _) => Task.FromResult(answers.Dequeue()));

        var first = await fetch.GetAsync($"http://{host}:{outside.Port}/hello", Limits, TestContext.Current.CancellationToken);
        var second = await Assert.ThrowsAsync<FetchRefusedException>(() => fetch.GetAsync($"http://{host}:{Port}/", Limits, TestContext.Current.CancellationToken));
        var third = await Assert.ThrowsAsync<FetchRefusedException>(() => fetch.GetAsync($"http://{host}:{Port}/", Limits, TestContext.Current.CancellationToken));

        Assert.Equal("hello", Encoding.UTF8.GetString(first.Content));
        Assert.Equal(("address_not_public", "address_not_public"), (second.Code, third.Code));
        Assert.Empty(hits);
    }

    [Fact]
    public async Task The_listener_of_this_test_can_be_hit_so_that_zero_means_something()
    {
        using var fetch = new PublicFetch([IPNetwork.Parse("127.0.0.0/8")]);

        await Assert.ThrowsAsync<FetchRefusedException>(() => fetch.GetAsync($"http://127.0.0.1:{Port}/", Limits, TestContext.Current.CancellationToken));

        await Patience.UntilAsync(() => Task.FromResult(hits.Count), count => count > 0, "a hit");
    }

    [Theory]
    [InlineData("/big", "too_large")]
    [InlineData("/bomb", "too_large")]
    [InlineData("/loop", "too_many_redirects")]
    [InlineData("/missing", "status")]
    [InlineData("/hops/4", "too_many_redirects")]
    [InlineData("/declared", "too_large")]
    [InlineData("/lie", "unreachable")]
    [InlineData("/noise", "unreachable")]
    [InlineData("/nowhere", "address_invalid")]
    [InlineData("/status", "status")]
    public async Task Answers_that_are_too_much_are_refused(string path, string code)
    {
        using var fetch = new PublicFetch([IPNetwork.Parse("127.0.0.2/32")]);

        var refused = await Assert.ThrowsAsync<FetchRefusedException>(() => fetch.GetAsync($"http://127.0.0.2:{outside.Port}{path}", Limits, TestContext.Current.CancellationToken));

        Assert.Equal(code, refused.Code);
    }

    [Theory]
    [InlineData("/slow")]
    [InlineData("/trickle")]
    public async Task A_server_that_says_nothing_or_a_byte_now_and_then_is_left_after_the_time_limit(string path)
    {
        using var fetch = new PublicFetch([IPNetwork.Parse("127.0.0.2/32")]);
        var limits = Limits with { Timeout = TimeSpan.FromMilliseconds(200), MaxBytes = 1_000_000 };

        var refused = await Assert.ThrowsAsync<FetchRefusedException>(() => fetch.GetAsync(outside.At(path), limits, TestContext.Current.CancellationToken));

        Assert.Equal("timeout", refused.Code);
    }

    [Fact]
    public async Task Of_a_body_without_an_end_no_more_is_read_than_the_cap()
    {
        using var fetch = new PublicFetch([IPNetwork.Parse("127.0.0.2/32")]);

        var refused = await Assert.ThrowsAsync<FetchRefusedException>(() => fetch.GetAsync(outside.At("/endless"), Limits with { MaxBytes = 1_000_000 }, TestContext.Current.CancellationToken));

        // What the two sockets hold comes on top: it was sent, and nobody reads it.
        Assert.Equal("too_large", refused.Code);
        Assert.InRange(outside.Sent, 1_000_000, 64_000_000);
    }

    [Fact]
    public async Task What_comes_after_the_length_that_was_said_is_not_taken()
    {
        using var fetch = new PublicFetch([IPNetwork.Parse("127.0.0.2/32")]);

        var fetched = await fetch.GetAsync(outside.At("/longer"), Limits, TestContext.Current.CancellationToken);

        Assert.Equal("hello", Encoding.UTF8.GetString(fetched.Content));
    }

    [Theory]
    [InlineData("8.8.8.8", true)]
    [InlineData("2606:4700:4700::1111", true)]
    [InlineData("64:ff9b::808:808", true)]
    [InlineData("64:ff9b::7f00:1", false)]
    [InlineData("64:ff9b:1::7f00:1", false)]
    [InlineData("::ffff:10.0.0.1", false)]
    [InlineData("::7f00:1", false)]
    [InlineData("2002:7f00:1::", false)]
    [InlineData("2001:0:53aa:64c::1", false)]
    [InlineData("fd00::1", false)]
    [InlineData("fe80::1", false)]
    [InlineData("fec0::1", false)]
    [InlineData("ff02::1", false)]
    [InlineData("100.64.0.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("172.32.0.1", true)]
    [InlineData("224.0.0.1", false)]
    [InlineData("255.255.255.255", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("::", false)]
    public void Public_means_global_unicast(string address, bool isPublic) => Assert.Equal(isPublic, PublicAddress.IsPublic(IPAddress.Parse(address)));

    /// <summary>Names that a hostile zone would hand out; anything else goes to the machine's resolver.</summary>
    private static Task<IPAddress[]> Resolve(string host, CancellationToken ct) => host switch
    {
        "v4.evil.test" => Task.FromResult<IPAddress[]>([IPAddress.Loopback]),
        "v6.evil.test" => Task.FromResult<IPAddress[]>([IPAddress.IPv6Loopback]),
        "mapped.evil.test" => Task.FromResult<IPAddress[]>([IPAddress.Parse("::ffff:127.0.0.1")]),
        "compatible.evil.test" => Task.FromResult<IPAddress[]>([IPAddress.Parse("::127.0.0.1")]),
        "nat64.evil.test" => Task.FromResult<IPAddress[]>([IPAddress.Parse("64:ff9b::7f00:1")]),
        "any.evil.test" => Task.FromResult<IPAddress[]>([IPAddress.Any]),
        "xn--lcalhost-nbh" or "xn--ypal-43d9g.evil.test" => Task.FromResult<IPAddress[]>([IPAddress.Loopback]),
        "many.evil.test" => Task.FromResult<IPAddress[]>([IPAddress.Parse("10.0.0.1"), IPAddress.Loopback, IPAddress.IPv6Any]),
        _ => Dns.GetHostAddressesAsync(host, ct),
    };

    private static List<string> Spellings(int port)
    {
        string[] hosts =
        [
            "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0x7f.0x0.0x0.0x1", "0177.0.0.1", "017700000001", "127.000.000.001", "127.0.0.1.",
            "127.127.127.127", "127.255.255.254", "0", "0.0.0.0", "00000000", "0x0", "localhost", "LOCALHOST", "LocalHost.", "sub.localhost", "localhost.localdomain",
            "①②⑦.⓪.⓪.①", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "ｌｏｃａｌｈｏｓｔ", "%31%32%37.0.0.1", "%6c%6f%63%61%6c%68%6f%73%74",
            "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[::7f00:1]",
            "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fc00::1]", "[fd12:3456::1]", "[ff02::1]",
            "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1.1", "169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:a9fe:a9fe]",
            "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "192.0.0.1", "v4.evil.test", "v6.evil.test", "mapped.evil.test", "compatible.evil.test",
            "nat64.evil.test", "any.evil.test", "many.evil.test", "l\u043ecalhost", "\u0440\u0430ypal.evil.test", "\u217cocalhost",
        ];
        return
        [
            .. hosts.Select(host => $"http://{host}:{port}/"),
            $"http://user:password@127.0.0.1:{port}/", $"http://example.org@127.0.0.1:{port}/", $"http://127.0.0.1:{port}#@example.org/", $"http://127.0.0.1:{port}\\@example.org/",
            $"http:127.0.0.1:{port}/", $"http:///127.0.0.1:{port}/", $"//127.0.0.1:{port}/", $"\thttp://127.0.0.1:{port}/", $"HTTP://127.0.0.1:{port}/",
            $"file:///etc/passwd", $"file://127.0.0.1:{port}/x", $"gopher://127.0.0.1:{port}/_x", $"ftp://127.0.0.1:{port}/", $"data:text/plain,x", $"dict://127.0.0.1:{port}/", $"ws://127.0.0.1:{port}/",
            $"jar:http://127.0.0.1:{port}!/", "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:22/", "http://", "", "javascript:alert(1)",
        ];
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                using var client = await inside.AcceptTcpClientAsync(stop.Token);
                hits.Add(client.Client.RemoteEndPoint?.ToString() ?? "?");
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException)
        {
        }
    }
}
