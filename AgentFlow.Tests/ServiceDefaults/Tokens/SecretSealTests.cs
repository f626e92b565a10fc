using System.Security.Cryptography;
using System.Text;
using AgentFlow.ServiceDefaults.Tokens;

namespace AgentFlow.Tests.ServiceDefaults.Tokens;

public sealed class SecretSealTests
{
    private static readonly string First = Entry("k1");
    private static readonly string Second = Entry("k2");

    [Fact]
    public void What_was_closed_opens_for_the_same_purpose_only()
    {
        var seal = Seal(First);
        var closed = seal.Close("a", "secret"u8);
        Assert.True(seal.TryOpen("a", closed, out var opened));
        Assert.Equal("secret", Encoding.UTF8.GetString(opened));
        Assert.False(seal.TryOpen("b", closed, out _));
        Assert.DoesNotContain("secret", closed, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rotated_key_opens_until_it_leaves_the_ring()
    {
        var closed = Seal(First).Close("a", "secret"u8);
        Assert.True(Seal($"{Second},{First}").TryOpen("a", closed, out _));
        Assert.False(Seal(Second).TryOpen("a", closed, out _));
    }

    [Fact]
    public void Every_changed_character_is_noticed()
    {
        var seal = Seal(First);
        var closed = seal.Close("a", "secret"u8);
        for (var i = 0; i < closed.Length; i++)
        {
            var changed = closed[..i] + (closed[i] == 'A' ? 'B' : 'A') + closed[(i + 1)..];
            Assert.False(seal.TryOpen("a", changed, out _));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("k1.")]
    [InlineData("k1.AAAA")]
    [InlineData("unknown.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("k1.not base64!")]
    public void Nonsense_does_not_open(string text) => Assert.False(Seal(First).TryOpen("a", text, out _));

    private static string Entry(string id) => $"{id}:{Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))}";

    private static SecretSeal Seal(string ring) => new(KeyRing.Parse(ring));
}
