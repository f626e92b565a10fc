using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace AgentFlow.ServiceDefaults.Settings;

/// <summary>Settings of the frameworks beneath us, which would end the start with a stack trace, or be ignored in silence, where they are wrong.</summary>
internal static class HostSettings
{
    private static readonly string[] Samplers =
        ["always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"];

    /// <exception cref="SettingException">The first that is wrong.</exception>
    public static void Check(IConfiguration configuration)
    {
        Require(configuration, "OTEL_EXPORTER_OTLP_ENDPOINT", IsHttp, "Write an absolute http or https address, such as http://localhost:4317");
        Require(configuration, "OTEL_EXPORTER_OTLP_PROTOCOL", value => value is "grpc" or "http/protobuf", "Write grpc or http/protobuf");
        Require(configuration, "OTEL_TRACES_SAMPLER", Samplers.Contains, $"Write one of {string.Join(", ", Samplers)}");
        Require(configuration, "OTEL_TRACES_SAMPLER_ARG", value => double.TryParse(value, System.Globalization.CultureInfo.InvariantCulture, out var ratio) && ratio is >= 0 and <= 1, "Write a number from 0 to 1");
        Require(configuration, "urls", AreUrls, "Write ASPNETCORE_URLS as addresses separated by semicolons, such as http://localhost:5081");
        foreach (var level in configuration.GetSection("Logging:LogLevel").GetChildren())
            Require(configuration, level.Path, value => Enum.TryParse<LogLevel>(value, ignoreCase: true, out _), $"Write one of {string.Join(", ", Enum.GetNames<LogLevel>())}");
    }

    private static void Require(IConfiguration configuration, string key, Func<string, bool> isRight, string cure)
    {
        if (configuration[key] is { Length: > 0 } value && !isRight(value))
            throw new SettingException(key, $"found '{value}'", cure);
    }

    private static bool IsHttp(string value) => Uri.TryCreate(value, UriKind.Absolute, out var address) && address.Scheme is "http" or "https";

    private static bool AreUrls(string value) => Array.TrueForAll(value.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), IsUrl);

    private static bool IsUrl(string url)
    {
        try
        {
            return BindingAddress.Parse(url).Scheme is "http" or "https";
        }
        catch (FormatException)
        {
            return false;
        }
    }
}
