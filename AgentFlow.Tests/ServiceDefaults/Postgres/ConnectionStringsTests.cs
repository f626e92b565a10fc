using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.Configuration;

namespace AgentFlow.Tests.ServiceDefaults.Postgres;

public sealed class ConnectionStringsTests
{
    [Fact]
    public void A_uri_is_read_with_its_escapes()
    {
        var found = ConnectionStrings.Resolve(Settings("POSTGRES_URL", "postgresql://us%40er:p%3Aw%2Fd@db.example:5433/agents?sslmode=require"), "agentflow-api");
        Assert.Equal(
            ("db.example", 5433, "us@er", "p:w/d", "agents", Npgsql.SslMode.Require),
            (found.Host, found.Port, found.Username, found.Password, found.Database, found.SslMode));
    }

    [Fact]
    public void The_primary_key_wins_over_the_alias()
    {
        var settings = new ConfigurationBuilder().AddInMemoryCollection(
        [
            KeyValuePair.Create("POSTGRES_URL", (string?)"postgresql://a:b@alias/x"), KeyValuePair.Create("ConnectionStrings:agentflow-api", (string?)"Host=primary;Username=u"),
        ]).Build();
        Assert.Equal("primary", ConnectionStrings.Resolve(settings, "agentflow-api").Host);
    }

    [Theory]
    [InlineData("POSTGRES_URL", "mysql://a:b@host/db")]
    [InlineData("ConnectionStrings:agentflow-api", "Host=x;Colour=blue")]
    [InlineData("ConnectionStrings:agentflow-api", "")]
    public void What_can_not_be_read_names_key_and_cure_and_no_secret(string key, string value)
    {
        var error = Assert.Throws<SettingException>(() => ConnectionStrings.Resolve(Settings(key, value), "agentflow-api"));
        Assert.Contains("postgresql://", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("blue", error.Message, StringComparison.Ordinal);
    }

    private static IConfiguration Settings(string key, string value) =>
        new ConfigurationBuilder().AddInMemoryCollection([KeyValuePair.Create(key, (string?)value)]).Build();
}
