using AgentFlow.ServiceDefaults.Hosting;

namespace AgentFlow.Tests.ServiceDefaults.Hosting;

public sealed class HealthVerbTests
{
    [Theory]
    [InlineData("http://+:8080", "http://localhost:8080/health")]
    [InlineData("http://0.0.0.0:5081;https://+:8443", "http://localhost:5081/health")]
    [InlineData(null, "http://localhost:8080/health")]
    public void The_service_is_asked_where_it_listens(string? urls, string address) => Assert.Equal(new Uri(address), HealthVerb.AddressOf(urls));

    [Fact]
    public void Only_the_verb_alone_is_the_verb()
    {
        Assert.True(HealthVerb.IsAskedFor(["AgentFlow.Web.dll", "health"]));
        Assert.False(HealthVerb.IsAskedFor(["AgentFlow.Web.dll", "--contentRoot", "health"]));
        Assert.False(HealthVerb.IsAskedFor(["AgentFlow.Web.dll"]));
    }
}
