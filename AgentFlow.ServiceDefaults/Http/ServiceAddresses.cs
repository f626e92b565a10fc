using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.Configuration;

namespace AgentFlow.ServiceDefaults.Http;

/// <summary>Where our other services are: <c>services:name:http:0</c>, as both forms of the AppHost set it.</summary>
public sealed class ServiceAddresses(IConfiguration configuration)
{
    /// <exception cref="SettingException">The service's address is not set or no absolute http address.</exception>
    public Uri Of(string service)
    {
        var key = $"services:{service}:http:0";
        var value = configuration[key] ?? configuration[$"services:{service}:https:0"];
        if (value is null)
        {
            throw new SettingException(key, "not set", $"Set services__{service}__http__0 to the service's address, such as http://localhost:5081");
        }

        return Uri.TryCreate(value, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? address
            : throw new SettingException(key, $"found '{value}'", "Write an absolute http or https address");
    }
}
