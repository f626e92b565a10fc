using System.Globalization;
using System.Net;
using System.Net.Sockets;
using AgentFlow.AppHost.Local;

namespace AgentFlow.Tests.AppHost;

public sealed class PortsTests : IDisposable
{
    private readonly TcpListener _busy = new(IPAddress.Loopback, 0);
    private readonly Dictionary<string, string?> _environment = new(StringComparer.Ordinal)
    {
        ["AGENTFLOW_WEB_PORT"] = "0",
        ["AGENTFLOW_API_PORT"] = "0",
        ["AGENTFLOW_MEMORY_PORT"] = "0",
    };

    private readonly List<string> _said = [];

    public PortsTests() => _busy.Start();

    public void Dispose() => _busy.Dispose();

    [Fact]
    public async Task Zero_takes_any_free_port()
    {
        var ports = await ChooseAsync();
        Assert.Equal(3, new HashSet<int> { ports.Web, ports.Api, ports.Memory }.Count);
        Assert.Empty(_said);
    }

    [Fact]
    public async Task A_named_port_that_is_busy_is_refused()
    {
        var port = ((IPEndPoint)_busy.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);
        _environment["AGENTFLOW_API_PORT"] = port;
        var refusal = await Assert.ThrowsAsync<StartRefusedException>(ChooseAsync);
        Assert.StartsWith($"AGENTFLOW_API_PORT={port} is busy", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_busy_default_moves_and_says_so_as_a_setting()
    {
        TcpListener? usual = new(IPAddress.Loopback, 5081);
        try
        {
            usual.Start();
        }
        catch (SocketException)
        {
            usual = null; // Busy already, which serves as well.
        }

        using (usual)
        {
            _environment.Remove("AGENTFLOW_API_PORT");
            var ports = await ChooseAsync();
            Assert.InRange(ports.Api, 5083, 5200);
            Assert.Equal([$"Port 5081 is busy, so AGENTFLOW_API_PORT={ports.Api}"], _said);
        }
    }

    [Theory]
    [InlineData("http")]
    [InlineData("-1")]
    [InlineData("70000")]
    public async Task What_is_no_port_is_refused_with_the_range(string value)
    {
        _environment["AGENTFLOW_WEB_PORT"] = value;
        var refusal = await Assert.ThrowsAsync<StartRefusedException>(ChooseAsync);
        Assert.Equal($"AGENTFLOW_WEB_PORT={value} is not a port. Give a number from 1 to 65535, or 0 for any free port.", refusal.Message);
    }

    [Fact]
    public async Task One_port_for_two_services_is_refused()
    {
        var free = Ports.AnyFree().ToString(CultureInfo.InvariantCulture);
        _environment["AGENTFLOW_WEB_PORT"] = free;
        _environment["AGENTFLOW_MEMORY_PORT"] = free;
        await Assert.ThrowsAsync<StartRefusedException>(ChooseAsync);
    }

    private Task<Ports> ChooseAsync() => Ports.ChooseAsync(_environment.GetValueOrDefault, _said.Add, TestContext.Current.CancellationToken);
}
