using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Settings;

namespace AgentFlow.ApiService.Agents;

/// <summary>Section <c>Agents</c>.</summary>
internal sealed class AgentOptions : IValidatableObject
{
    public const string Section = "Agents";

    /// <summary>Folder of the definitions; default: <c>agents/configs</c> beside the program, where the build puts this repository's.</summary>
    public string Path { get; set; } = System.IO.Path.Combine(AppContext.BaseDirectory, "agents", "configs");

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) =>
        Directory.Exists(Path) ? [] : [new ValidationResult("That is no folder. Name the folder that holds default.json.", [nameof(Path)])];
}

/// <summary>Reads <c>agents/configs/*.json</c> with the prompts beside them. A bad file stops the start and says which and why.</summary>
internal static class AgentFiles
{
    private const long MaxFileBytes = 256 * 1024;

    public static IReadOnlyList<AgentDefinition> Read(string folder, IReadOnlySet<string> tools)
    {
        var agents = Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal).Select(file => ReadFile(file, tools)).ToList();
        if (agents.GroupBy(a => a.Slug, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new SettingException("Agents:Path", $"found two definitions with the slug '{twice.Key}' in '{folder}'", "Give each agent a slug of its own");
        if (!agents.Exists(a => a.Slug == AgentDefinition.Default))
            throw new SettingException("Agents:Path", $"found no agent with the slug 'default' in '{folder}'", "Add default.json: it answers where no agent is named");
        return agents;
    }

    private static AgentDefinition ReadFile(string file, IReadOnlySet<string> tools)
    {
        var agent = WithPrompt(Parse(file), file);
        var faults = AgentRules.Check(agent, tools);
        return faults.Count == 0 ? agent with { Source = "installation", CreatedAt = null, Version = 1 } : throw Fault(file, string.Join(" ", faults), "Correct the file");
    }

    private static AgentDefinition Parse(string file)
    {
        if (new FileInfo(file).Length > MaxFileBytes)
            throw Fault(file, $"found more than {MaxFileBytes} bytes", "Keep long instructions in a prompt file");
        try
        {
            return JsonSerializer.Deserialize<AgentDefinition>(File.ReadAllBytes(file), ContractJson.Options)
                ?? throw Fault(file, "found null", "Write one JSON object");
        }
        catch (JsonException e)
        {
            throw Fault(file, $"found JSON that does not fit: {e.Message.TrimEnd('.')}", "Correct the file");
        }
    }

    private static AgentDefinition WithPrompt(AgentDefinition agent, string file)
    {
        if (agent.Prompt is null)
            return agent;
        var prompt = Path.Combine(Path.GetDirectoryName(file)!, Path.GetFileName(agent.Prompt));
        if (Path.GetFileName(agent.Prompt) != agent.Prompt || !File.Exists(prompt))
            throw Fault(file, $"prompt: found '{agent.Prompt}'", "Name a file in the same folder");
        return agent with { Instructions = File.ReadAllText(prompt).Trim(), Prompt = null };
    }

    private static SettingException Fault(string file, string found, string cure) => new(file, found.TrimEnd('.'), cure);
}
