using System.Security.Cryptography;
using System.Text;
using AgentFlow.ServiceDefaults.Tokens;

namespace AgentFlow.Tests.ServiceDefaults.Tokens;

public sealed class KeyRingTests
{
    private static string RandomSecret(int bytes = 32) => Convert.ToBase64String(RandomNumberGenerator.GetBytes(bytes));

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    [Fact]
    public void First_key_signs_and_every_key_is_found()
    {
        var ring = KeyRing.Parse($"new:{RandomSecret()}, old-1:{RandomSecret(64)}");

        Assert.Equal("new", ring.Current.Id);
        Assert.Equal("old-1", ring.Find("old-1")?.Id);
        Assert.Null(ring.Find("NEW"));
        Assert.Null(ring.Find("../../etc/passwd"));
    }

    public static TheoryData<string?> Unusable => new(
        null,
        "",
        "   ",
        ",",
        RandomSecret(),
        $":{RandomSecret()}",
        $"has space:{RandomSecret()}",
        $"a/b:{RandomSecret()}",
        $"{new string('k', 33)}:{RandomSecret()}",
        "k1:",
        "k1:not base64!",
        $"k1:{RandomSecret(31)}",
        $"k1:{RandomSecret(16)}",
        $"k1:{RandomSecret(513)}",
        $"k1:{Convert.ToBase64String(new byte[32])}",
        $"k1:{Convert.ToBase64String(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray())}",
        $"k1:{Base64("change-me-please-change-me-please-1234")}",
        $"k1:{Base64("this is my very long example key, ok")}",
        $"k1:{Base64("Your-Signing-Key-Of-32-Characters!!")}",
        $"k1:{Base64("0123456789abcdef0123456789abcdef")}",
        $"k1:{RandomSecret()},k1:{RandomSecret()}",
        string.Join(',', Enumerable.Range(0, 9).Select(i => $"k{i}:{RandomSecret()}")));

    [Theory]
    [MemberData(nameof(Unusable))]
    public void Unset_short_or_example_keys_are_refused_with_key_and_cure(string? value)
    {
        Assert.False(KeyRing.TryParse(value, out _, out var error));

        Assert.StartsWith("Auth:Keys ", error, StringComparison.Ordinal);
        Assert.Contains("openssl rand -base64 32", error, StringComparison.Ordinal);
        foreach (var secret in (value ?? "").Split(',').Select(part => part[(part.IndexOf(':') + 1)..]).Where(secret => secret.Length > 3))
            Assert.DoesNotContain(secret, error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_prints_its_id_only()
    {
        var secret = RandomSecret();

        Assert.Equal("k1", KeyRing.Parse($"k1:{secret}").Current.ToString());
    }
}
