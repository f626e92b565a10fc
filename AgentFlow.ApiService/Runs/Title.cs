namespace AgentFlow.ApiService.Runs;

/// <summary>A conversation's first title: its first message, on one line and cut between words.</summary>
internal static class Title
{
    /// <summary>UTF-16 characters at most, the ellipsis included.</summary>
    public const int MaxLength = 80;

    /// <summary><c>"How do I\n\nreset my password?"</c> becomes <c>"How do I reset my password?"</c>.</summary>
    public static string From(string message)
    {
        var start = message.Length > 1_000 ? message[..1_000] : message;
        var line = string.Join(' ', start.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        if (line.Length <= MaxLength)
            return line.Length == 0 ? "Untitled" : line;
        var cut = line.LastIndexOf(' ', MaxLength - 1);
        if (cut < MaxLength / 2)
            cut = char.IsHighSurrogate(line[MaxLength - 2]) ? MaxLength - 2 : MaxLength - 1;
        return $"{line[..cut].TrimEnd()}…";
    }
}
