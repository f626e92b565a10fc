namespace AgentFlow.Web.Markdown;

/// <summary>
/// Which links of a text may be followed. A model can be talked into writing an address that carries what it knows to somebody else, so a link
/// is live only when its host was named by the person or stands in a passage of the conversation; any other is shown as text. Pure.
/// </summary>
public sealed class LinkPolicy(IReadOnlySet<string> hosts)
{
    public static LinkPolicy None { get; } = new(new HashSet<string>(StringComparer.Ordinal));

    public bool Allows(string? address, out string target)
    {
        target = "";
        if (address is null or { Length: 0 or > 2_048 } || address.Any(character => char.IsControl(character) || char.IsWhiteSpace(character)))
            return false;
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.UserInfo.Length > 0 && uri.Scheme is not "mailto")
            return false;
        target = uri.AbsoluteUri;
        return uri.Scheme is "mailto" || (uri.Scheme is "http" or "https" && hosts.Contains(uri.IdnHost));
    }

    /// <summary>Hosts that are named in texts the person wrote or was quoted from.</summary>
    public static LinkPolicy From(IEnumerable<string> texts)
    {
        var hosts = new HashSet<string>(StringComparer.Ordinal);
        foreach (var text in texts)
        {
            for (var at = text.IndexOf("://", StringComparison.Ordinal); at >= 0; at = text.IndexOf("://", at + 3, StringComparison.Ordinal))
            {
                var end = at + 3;
                while (end < text.Length && !char.IsWhiteSpace(text[end]) && text[end] is not ('/' or '?' or '#' or ')' or ']' or '>' or '<' or '"' or '\'' or '|'))
                    end++;
                if (Uri.TryCreate("https://" + text[(at + 3)..end].TrimEnd('.', ',', ';', ':'), UriKind.Absolute, out var uri) && uri.UserInfo.Length == 0)
                    hosts.Add(uri.IdnHost);
            }
        }

        return new LinkPolicy(hosts);
    }
}
