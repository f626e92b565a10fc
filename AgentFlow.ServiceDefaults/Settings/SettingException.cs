namespace AgentFlow.ServiceDefaults.Settings;

/// <summary>A setting that stops the start. The message names the key, what was found and the cure; secrets' values are never put in it.</summary>
public sealed class SettingException(string key, string found, string cure)
    : Exception($"{key}: {found}. {cure}")
{
    public string Key { get; } = key;
}
