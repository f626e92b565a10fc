using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace AgentFlow.ServiceDefaults.Settings;

/// <summary>Reads a <c>.env</c> file beside the solution, in development only; the environment wins.</summary>
internal static class DotEnv
{
    public static void Add(WebApplicationBuilder builder)
    {
        if (!builder.Environment.IsDevelopment() || Find(builder.Environment.ContentRootPath) is not { } file)
        {
            return;
        }

        var values = Parse(File.ReadLines(file))
            .Where(pair => Environment.GetEnvironmentVariable(pair.Key) is null)
            .Select(pair => KeyValuePair.Create(pair.Key.Replace("__", ":", StringComparison.Ordinal), (string?)pair.Value));
        builder.Configuration.AddInMemoryCollection(values);
    }

    /// <summary>Lines such as <c>OPENAI_MODEL="gpt-5-mini"  # comment</c>; the last of a repeated key wins.</summary>
    internal static IEnumerable<KeyValuePair<string, string>> Parse(IEnumerable<string> lines)
    {
        foreach (var line in lines.Select(line => line.Trim()))
        {
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0 || line[0] == '#')
            {
                continue;
            }

            var key = line[..equals].Trim();
            key = key.StartsWith("export ", StringComparison.Ordinal) ? key[7..].Trim() : key;
            yield return KeyValuePair.Create(key, Unquote(line[(equals + 1)..].Trim()));
        }
    }

    private static string Unquote(string value)
    {
        if (value.Length >= 2 && value[0] is '"' or '\'' && value.IndexOf(value[0], 1) is var end and > 0)
        {
            return value[1..end];
        }

        var comment = value.IndexOf(" #", StringComparison.Ordinal);
        return (comment < 0 ? value : value[..comment]).TrimEnd();
    }

    private static string? Find(string start)
    {
        for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "AgentFlow.sln")))
            {
                var file = Path.Combine(folder.FullName, ".env");
                return File.Exists(file) ? file : null;
            }
        }

        return null;
    }
}
