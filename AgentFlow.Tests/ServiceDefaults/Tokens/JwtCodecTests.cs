using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AgentFlow.ServiceDefaults.Tokens;
using JWT.Algorithms;
using JWT.Builder;

namespace AgentFlow.Tests.ServiceDefaults.Tokens;

public sealed class JwtCodecTests
{
    private static readonly byte[] Secret = RandomNumberGenerator.GetBytes(32);
    private static readonly Guid Owner = Guid.CreateVersion7();
    private readonly FixedTime _time = new(new DateTimeOffset(2026, 11, 21, 12, 0, 0, TimeSpan.Zero));

    private JwtCodec Codec(string? ring = null) => new(KeyRing.Parse(ring ?? $"k1:{Convert.ToBase64String(Secret)}"), _time);

    private long Now => _time.GetUtcNow().ToUnixTimeSeconds();

    [Fact]
    public void Mac_is_that_of_RFC_7515_appendix_A1()
    {
        var key = Base64Url.DecodeFromChars("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
        const string signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
            + ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

        Assert.Equal("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", Base64Url.EncodeToString(JwtCodec.Mac(key, signed)));
    }

    [Fact]
    public void Segments_are_decoded_as_in_RFC_7515_appendix_C()
    {
        Assert.Equal([3, 236, 255, 224, 193], JwtCodec.DecodeSegment("A-z_4ME"));
        Assert.Null(JwtCodec.DecodeSegment("A-z_4ME="));
        Assert.Null(JwtCodec.DecodeSegment("A-z_4MF"));
        Assert.Null(JwtCodec.DecodeSegment("A-z_4\nME"));
        Assert.Null(JwtCodec.DecodeSegment("A+z/4ME"));
        Assert.Null(JwtCodec.DecodeSegment("A"));
    }

    [Fact]
    public void An_independent_library_accepts_what_we_sign()
    {
        var session = Guid.CreateVersion7();
        var token = new JwtCodec(KeyRing.Parse($"k1:{Convert.ToBase64String(Secret)}"), TimeProvider.System)
            .Sign(TokenProfile.Access, Owner, TimeSpan.FromMinutes(15), "read write", session);

        var json = new JwtBuilder().WithAlgorithm(new HMACSHA256Algorithm()).WithSecret(Secret).MustVerifySignature().Decode(token);

        using var claims = JsonDocument.Parse(json);
        Assert.Equal(Owner, claims.RootElement.GetProperty("sub").GetGuid());
        Assert.Equal(session, claims.RootElement.GetProperty("sid").GetGuid());
        Assert.Equal("read write", claims.RootElement.GetProperty("scope").GetString());
        Assert.Equal("agentflow-api", claims.RootElement.GetProperty("aud").GetString());
    }

    [Fact]
    public void We_accept_what_an_independent_library_signs()
    {
        var token = new JwtBuilder().WithAlgorithm(new HMACSHA256Algorithm()).WithSecret(Secret)
            .AddHeader(HeaderName.Type, "at+jwt").AddHeader(HeaderName.KeyId, "k1")
            .AddClaim("iss", "agentflow").AddClaim("aud", "agentflow-api").AddClaim("sub", Owner.ToString())
            .AddClaim("iat", Now).AddClaim("nbf", Now).AddClaim("exp", Now + 900).AddClaim("jti", "x").AddClaim("scope", "read")
            .Encode();

        var claims = Codec().Validate(token, TokenProfile.Access, out var refusal);

        Assert.Equal(TokenRefusal.None, refusal);
        Assert.Equal((Owner, "read"), (claims?.Subject, claims?.Scope));
    }

    [Fact]
    public void A_token_ends_thirty_seconds_after_its_time_and_starts_thirty_before()
    {
        var codec = Codec();
        var token = codec.Sign(TokenProfile.Access, Owner, TimeSpan.FromMinutes(15));

        _time.Advance(TimeSpan.FromMinutes(15) + TimeSpan.FromSeconds(29));
        Assert.NotNull(codec.Validate(token, TokenProfile.Access, out _));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(codec.Validate(token, TokenProfile.Access, out var late));
        Assert.Equal(TokenRefusal.Expired, late);

        _time.Advance(TimeSpan.FromSeconds(-900 - 30 - 30));
        Assert.NotNull(codec.Validate(token, TokenProfile.Access, out _));
        _time.Advance(TimeSpan.FromSeconds(-1));
        Assert.Null(codec.Validate(token, TokenProfile.Access, out var early));
        Assert.Equal(TokenRefusal.NotYetValid, early);
    }

    [Fact]
    public void Rotation_keeps_old_tokens_until_their_key_is_dropped()
    {
        var next = $"k2:{Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))}";
        var old = Codec().Sign(TokenProfile.Access, Owner, TimeSpan.FromMinutes(15));

        Assert.NotNull(Codec($"{next},k1:{Convert.ToBase64String(Secret)}").Validate(old, TokenProfile.Access, out _));
        Assert.Null(Codec(next).Validate(old, TokenProfile.Access, out var refusal));
        Assert.Equal(TokenRefusal.UnknownKey, refusal);
    }

    [Fact]
    public void Internal_tokens_carry_owner_and_scopes_and_are_no_access_tokens()
    {
        var tokens = new InternalTokens(Codec());
        var token = tokens.Issue(Owner, ["memory.read", "memory.write"]);

        var caller = tokens.Validate(token);
        Assert.Equal(Owner, caller?.OwnerId);
        Assert.Equal(["memory.read", "memory.write"], caller?.Scopes);
        Assert.Null(Codec().Validate(token, TokenProfile.Access, out var refusal));
        Assert.Equal(TokenRefusal.WrongType, refusal);
        Assert.Null(tokens.Validate(Codec().Sign(TokenProfile.Access, Owner, TimeSpan.FromMinutes(1))));
        _time.Advance(TimeSpan.FromSeconds(91));
        Assert.Null(tokens.Validate(token));
    }

    [Fact]
    public void At_least_thirty_malformed_tokens_are_refused_also_after_rotation()
    {
        var tokens = MalformedTokens.All(Secret, "k1", Now, Owner);
        var rotated = $"k2:{Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))},k1:{Convert.ToBase64String(Secret)}";

        Assert.True(tokens.Count >= 30, tokens.Count.ToString(CultureInfo.InvariantCulture));
        Assert.NotNull(Codec().Validate(MalformedTokens.Valid(Secret, "k1", Now, Owner), TokenProfile.Access, out _));
        Assert.All(tokens, entry => Assert.True(Codec().Validate(entry.Value, TokenProfile.Access, out var refusal) is null && refusal is not TokenRefusal.None, entry.Key));
        Assert.All(tokens, entry => Assert.True(Codec(rotated).Validate(entry.Value, TokenProfile.Access, out _) is null, entry.Key));
    }

    [Fact]
    public void No_changed_byte_of_a_token_is_accepted()
    {
        var codec = Codec();
        var token = codec.Sign(TokenProfile.Access, Owner, TimeSpan.FromMinutes(15), "read");
        var random = new Random(7);
        for (var i = 0; i < token.Length; i++)
        {
            var changed = new StringBuilder(token);
            do
                changed[i] = (char)random.Next(1, 128);
            while (changed[i] == token[i]);
            Assert.Null(codec.Validate(changed.ToString(), TokenProfile.Access, out _));
            Assert.Null(codec.Validate(token[..i], TokenProfile.Access, out _));
        }
    }

    private sealed class FixedTime(DateTimeOffset start) : TimeProvider
    {
        private DateTimeOffset _now = start;

        public void Advance(TimeSpan by) => _now += by;

        public override DateTimeOffset GetUtcNow() => _now;
    }
}
