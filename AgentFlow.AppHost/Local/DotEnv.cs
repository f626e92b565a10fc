namespace AgentFlow.AppHost.Local;

/// <summary>The file <c>.env</c> beside the solution: settings of one developer's machine, ignored by git.</summary>
internal static class DotEnv
{
    /// <summary>Sets what the file names and the environment does not: the environment wins. A missing file is no error.</summary>
    public static void Load(string path)
    {
        if (!File.Exists(path))
            return;
        foreach (var (key, value) in File.ReadLines(path).Select(Parse).OfType<(string Key, string Value)>())
        {
            if (Environment.GetEnvironmentVariable(key) is null)
                Environment.SetEnvironmentVariable(key, value);
        }
    }

    /// <summary>Examples: <c>OPENAI_MODEL=gpt-5</c>, <c>export KEY="a value"  </c>, <c># a comment</c>.</summary>
    internal static (string Key, string Value)? Parse(string line)
    {
        var text = line.Trim();
        if (text.StartsWith("export ", StringComparison.Ordinal))
            text = text[7..].TrimStart();
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0 || text[0] == '#')
            return null;
        var value = text[(equals + 1)..].Trim();
        if (value.Length >= 2 && value[0] is '"' or '\'' && value[^1] == value[0])
            value = value[1..^1];
        return value.Length == 0 ? null : (text[..equals].TrimEnd(), value);
    }
}
