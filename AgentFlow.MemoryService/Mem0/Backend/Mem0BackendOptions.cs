using AgentFlow.ServiceDefaults.Settings;

namespace AgentFlow.MemoryService.Mem0.Backend;

/// <summary>Mem0's hosted API, where <c>Memory:Backend</c> is mem0.</summary>
/// <param name="Address">Base address with a trailing slash; <c>Memory:Mem0:Address</c>, default <c>https://api.mem0.ai/</c>.</param>
/// <param name="ApiKey"><c>Memory:Mem0:ApiKey</c> or <c>MEM0_API_KEY</c>.</param>
internal sealed record Mem0BackendOptions(Uri Address, string ApiKey)
{
    private const string DefaultAddress = "https://api.mem0.ai";

    /// <exception cref="SettingException">There is no key, or the address is none.</exception>
    internal static Mem0BackendOptions From(IConfiguration configuration)
    {
        var key = configuration["Memory:Mem0:ApiKey"] is { Length: > 0 } own ? own : configuration["MEM0_API_KEY"];
        if (string.IsNullOrWhiteSpace(key))
            throw new SettingException("Memory:Backend", "found mem0, but there is no key of Mem0", "Set MEM0_API_KEY, or use local");
        var text = configuration["Memory:Mem0:Address"] is { Length: > 0 } given ? given : DefaultAddress;
        return Uri.TryCreate(text.TrimEnd('/') + "/", UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? new Mem0BackendOptions(address, key)
            : throw new SettingException("Memory:Mem0:Address", $"found {text}", "Write an absolute http or https address");
    }
}
