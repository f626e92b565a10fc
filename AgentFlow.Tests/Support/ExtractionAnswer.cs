using System.Text.Json;

namespace AgentFlow.Tests.Support;

/// <summary>What an extraction model answers, and a memory service that asks it.</summary>
internal static class ExtractionAnswer
{
    /// <param name="facts">The structured output: <c>{"facts":[{"text":"...","categories":[],"contradicts":[1],"relations":[]}]}</c>.</param>
    public static Script Of(string facts) => new()
    {
        ContentType = "application/json",
        Json = $$$"""{"choices":[{"finish_reason":"stop","message":{"role":"assistant","content":{{{JsonSerializer.Serialize(facts)}}}}}],"usage":{"prompt_tokens":310,"completion_tokens":12}}""",
    };

    public static Task<MemoryHost> StartAsync(ScriptedProvider provider, params (string Key, string Value)[] settings) => MemoryHost.StartAsync(
        settings: [("OPENAI_BASE_URL", provider.Endpoint.ToString()), ("OPENAI_API_KEY", "test"), ("OPENAI_MODEL", "scripted"), .. settings]);
}
