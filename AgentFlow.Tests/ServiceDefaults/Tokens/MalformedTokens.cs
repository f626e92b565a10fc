using System.Buffers.Text;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using AgentFlow.ServiceDefaults.Tokens;

namespace AgentFlow.Tests.ServiceDefaults.Tokens;

/// <summary>
/// Tokens that a strict validator refuses, each signed with the true key wherever the flaw is not the signature itself, so that only the
/// rule under test can refuse it. Used against the codec and, over HTTP, against every way in.
/// </summary>
internal static class MalformedTokens
{
    public static string Valid(byte[] secret, string kid, long now, Guid owner, string type = "at+jwt", string audience = "agentflow-api") =>
        Sign(secret, Header(kid, type), Claims(now, owner, audience));

    /// <param name="listener">An address of the test's own; a header that points there must cause no request.</param>
    public static IReadOnlyDictionary<string, string> All(byte[] secret, string kid, long now, Guid owner, string listener = "http://127.0.0.1:9/")
    {
        var header = Header(kid, "at+jwt");
        var claims = Claims(now, owner, "agentflow-api");
        var valid = Sign(secret, header, claims);
        var parts = valid.Split('.');
        string WithHeader(string json) => Sign(secret, json, claims);
        string WithClaims(string json) => Sign(secret, header, json);
        string Replaced(string from, string to) => WithClaims(Replace(claims, from, to));
        string HeaderReplaced(string from, string to) => WithHeader(Replace(header, from, to));

        var tokens = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["empty"] = "",
            ["one segment"] = parts[0],
            ["two segments"] = parts[0] + "." + parts[1],
            ["four segments"] = valid + ".AA",
            ["five segments, as an encrypted token"] = $"{parts[0]}.AA.AA.{ZipBomb()}.AA",
            ["empty signature"] = parts[0] + "." + parts[1] + ".",
            ["empty claims"] = parts[0] + ".." + parts[2],
            ["padded signature"] = valid + "=",
            ["trailing newline"] = valid + "\n",
            ["leading space"] = " " + valid,
            ["standard base64 alphabet"] = parts[0] + "." + parts[1] + ".+/+/" + parts[2][4..],
            ["loose trailing bits"] = valid[..^1] + Loosen(valid[^1]),
            ["signature of another key"] = Sign(RandomNumberGenerator.GetBytes(32), header, claims),
            ["signature cut short"] = valid[..^4],
            ["signature of zeros"] = $"{parts[0]}.{parts[1]}.{new string('A', 43)}",
            ["claims exchanged"] = $"{parts[0]}.{Encode(Claims(now, Guid.CreateVersion7(), "agentflow-api"))}.{parts[2]}",
            ["30 KB"] = valid + new string('A', 30_000),
            ["binary"] = "\u0000\u0001\u0002.\u00ff.\u00fe",
        };
        foreach (var alg in new[] { "none", "None", "NONE", "nONE", "HS384", "HS512", "RS256", "ES256", "hs256", "" })
        {
            tokens[$"alg {alg} signed"] = HeaderReplaced("\"HS256\"", $"\"{alg}\"");
            tokens[$"alg {alg} unsigned"] = $"{Encode(Replace(header, "\"HS256\"", $"\"{alg}\""))}.{parts[1]}.";
        }

        foreach (var (name, value) in new[]
        {
            ("path", "\"../../../../dev/null\""), ("SQL", "\"k1' OR '1'='1\""), ("address", $"\"{listener}\""), ("null", "null"),
            ("number", "1"), ("array", "[\"k1\"]"), ("empty", "\"\""), ("10 KB", $"\"{new string('k', 10_000)}\""), ("NUL", "\"k1\\u0000\""), ("case", "\"K1\""),
        })
            tokens[$"kid {name}"] = HeaderReplaced($"\"kid\":\"{kid}\"", $"\"kid\":{value}");
        tokens["kid missing"] = HeaderReplaced($",\"kid\":\"{kid}\"", "");

        foreach (var (name, member) in new[]
        {
            ("jku", $"\"jku\":\"{listener}\""), ("x5u", $"\"x5u\":\"{listener}\""), ("jwk", "\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}"),
            ("x5c", "\"x5c\":[\"AAAA\"]"), ("crit", "\"crit\":[\"exp\"]"), ("zip", "\"zip\":\"DEF\""), ("b64", "\"b64\":false,\"crit\":[\"b64\"]"),
            ("a second alg", "\"alg\":\"HS256\""), ("an unknown member", "\"foo\":1"),
        })
            tokens[$"header with {name}"] = WithHeader(header[..^1] + "," + member + "}");
        foreach (var type in new[] { "\"JWT\"", "\"AT+JWT\"", "\"internal+jwt\"", "\"refresh+jwt\"", "null", "[\"at+jwt\"]" })
            tokens[$"typ {type}"] = HeaderReplaced("\"at+jwt\"", type);
        tokens["header not an object"] = WithHeader("[]");
        tokens["header not JSON"] = WithHeader("{");
        tokens["header with a comment"] = WithHeader("/**/" + header);
        tokens["claims not JSON"] = WithClaims("{");
        tokens["claims null"] = WithClaims("null");
        tokens["claims a string"] = WithClaims("\"x\"");
        tokens["claims deep"] = WithClaims(claims[..^1] + ",\"a\":" + new string('[', 100) + new string(']', 100) + "}");
        tokens["claims with a second sub"] = WithClaims(claims[..^1] + $",\"sub\":\"{Guid.CreateVersion7()}\"}}");
        tokens["claims followed by more"] = WithClaims(claims + "{}");
        tokens["claims with a lone surrogate"] = Replaced("\"agentflow\"", "\"agentflow\\ud800\"");
        tokens["claims not UTF-8"] = SignBytes(secret, header, [.. Encoding.UTF8.GetBytes(claims[..^1]), .. ",\"a\":\""u8, 0xC3, 0x28, .. "\"}"u8]);
        tokens["claims in UTF-16"] = SignBytes(secret, header, Encoding.Unicode.GetBytes(claims));

        foreach (var audience in new[] { "\"memory\"", "\"AGENTFLOW-API\"", "[\"agentflow-api\"]", "\"\"", "null" })
            tokens[$"aud {audience}"] = Replaced("\"agentflow-api\"", audience);
        foreach (var issuer in new[] { "\"https://evil.example\"", "[\"agentflow\"]", "null", "\"\"" })
            tokens[$"iss {issuer}"] = Replaced("\"iss\":\"agentflow\"", $"\"iss\":{issuer}");
        foreach (var subject in new[] { "\"1\"", "1", "null", $"\"{Guid.Empty}\"", "\"' or 1=1 --\"" })
            tokens[$"sub {subject}"] = Replaced($"\"{owner}\"", subject);
        foreach (var expiry in new[] { $"\"{now + 900}\"", $"{now + 900}.5", "1e308", "-1", "0", $"{now - 31}", "9223372036854775807", "99999999999999999999", "null", "true", $"{now + 86_400}" })
            tokens[$"exp {expiry}"] = Replaced($"\"exp\":{now + 900}", $"\"exp\":{expiry}");
        tokens["nbf in the future"] = Replaced($"\"nbf\":{now}", $"\"nbf\":{now + 31}");
        tokens["nbf negative"] = Replaced($"\"nbf\":{now}", "\"nbf\":-1");
        tokens["iat in the future"] = Replaced($"\"iat\":{now}", $"\"iat\":{now + 31}");
        foreach (var name in new[] { "iss", "aud", "sub", "iat", "nbf", "exp", "jti" })
            tokens[$"{name} missing"] = Replaced($"\"{name}\":", $"\"x-{name}\":");
        return tokens;
    }

    private static string Header(string kid, string type) => $"{{\"alg\":\"HS256\",\"typ\":\"{type}\",\"kid\":\"{kid}\"}}";

    private static string Claims(long now, Guid owner, string audience) =>
        $"{{\"iss\":\"agentflow\",\"aud\":\"{audience}\",\"sub\":\"{owner}\",\"iat\":{now},\"nbf\":{now},\"exp\":{now + 900},\"jti\":\"t1\",\"scope\":\"\"}}";

    private static string Replace(string text, string from, string to)
    {
        Assert.Contains(from, text, StringComparison.Ordinal);
        return text.Replace(from, to, StringComparison.Ordinal);
    }

    private static char Loosen(char last)
    {
        const string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        return alphabet[alphabet.IndexOf(last, StringComparison.Ordinal) ^ 1];
    }

    private static string ZipBomb()
    {
        using var bytes = new MemoryStream();
        using (var deflate = new DeflateStream(bytes, CompressionLevel.SmallestSize))
            deflate.Write(new byte[1_000_000]);
        return Base64Url.EncodeToString(bytes.ToArray());
    }

    private static string Encode(string json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));

    private static string Sign(byte[] secret, string header, string claims) => SignBytes(secret, header, Encoding.UTF8.GetBytes(claims));

    private static string SignBytes(byte[] secret, string header, byte[] claims)
    {
        var signed = Encode(header) + "." + Base64Url.EncodeToString(claims);
        return signed + "." + Base64Url.EncodeToString(JwtCodec.Mac(secret, signed));
    }
}
