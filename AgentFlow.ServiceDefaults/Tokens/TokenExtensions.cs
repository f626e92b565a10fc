using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace AgentFlow.ServiceDefaults.Tokens;

/// <summary>The signing keys, as both services read them.</summary>
public sealed class TokenOptions
{
    public const string Section = "Auth";

    /// <summary><c>kid:base64[,kid2:base64]</c>, each of at least 256 random bits; the first signs. A secret: it has no default.</summary>
    public string? Keys { get; set; }
}

public static class TokenExtensions
{
    /// <summary>Key ring, codec and internal tokens; a key ring that is unset, short or an example stops the start.</summary>
    public static TBuilder AddTokens<TBuilder>(this TBuilder builder)
        where TBuilder : IHostApplicationBuilder
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddValidatedOptions<TokenOptions>(TokenOptions.Section);
        builder.Services.AddSingleton<IValidateOptions<TokenOptions>, TokenOptionsValidator>();
        builder.Services.TryAddSingleton(services => KeyRing.Parse(services.GetRequiredService<IOptions<TokenOptions>>().Value.Keys));
        builder.Services.TryAddSingleton<JwtCodec>();
        builder.Services.TryAddSingleton<InternalTokens>();
        return builder;
    }

    private sealed class TokenOptionsValidator : IValidateOptions<TokenOptions>
    {
        public ValidateOptionsResult Validate(string? name, TokenOptions options) =>
            KeyRing.TryParse(options.Keys, out _, out var error) ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(error);
    }
}
