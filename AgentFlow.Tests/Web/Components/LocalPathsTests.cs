using AgentFlow.Web.Components.SignIn;

namespace AgentFlow.Tests.Web.Components;

public sealed class LocalPathsTests
{
    [Theory]
    [InlineData("/c/1", "/c/1")]
    [InlineData("/documents?x=1#a", "/documents?x=1#a")]
    [InlineData(null, "/")]
    [InlineData("", "/")]
    [InlineData("c/1", "/")]
    [InlineData("//evil.example", "/")]
    [InlineData("/\\evil.example", "/")]
    [InlineData("/\t/evil.example", "/")]
    [InlineData("https://evil.example/", "/")]
    [InlineData("javascript:alert(1)", "/")]
    public void A_return_address_stays_on_this_site(string? address, string expected) => Assert.Equal(expected, LocalPaths.OrHome(address));
}
