using System.Text.RegularExpressions;

namespace AgentFlow.ApiService.OutputFilter;

/// <summary>
/// Which addresses may stay links: those on hosts that the user himself wrote in this conversation, and our own pages. Documents and tool
/// results do not count: an address in them may be made to carry data away. Pure.
/// </summary>
internal sealed partial class LinkRules
{
    private readonly HashSet<string> _hosts = new(StringComparer.OrdinalIgnoreCase);

    /// <param name="written">What the user wrote.</param>
    public LinkRules(IEnumerable<string> written)
    {
        foreach (var match in written.SelectMany(text => HostPattern().Matches(text)).Take(1_000))
            _hosts.Add(Host(match.Value));
    }

    public bool Allows(string address)
    {
        if (address.StartsWith("mailto:", StringComparison.OrdinalIgnoreCase) || IsOurs(address))
            return true;
        var absolute = address.StartsWith("www.", StringComparison.OrdinalIgnoreCase) ? "https://" + address : address;
        return Uri.TryCreate(absolute, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.UserInfo.Length == 0 && _hosts.Contains(uri.IdnHost);
    }

    /// <summary>Images load without a click, so only our own paths stay.</summary>
    public static bool AllowsImage(string address) => IsOurs(address);

    /// <summary>A path on our own host. Without colon, backslash and entity it can become nothing else in a browser.</summary>
    private static bool IsOurs(string address) => !address.StartsWith("//", StringComparison.Ordinal)
        && !address.StartsWith("www.", StringComparison.OrdinalIgnoreCase)
        && address.All(c => char.IsAsciiLetterOrDigit(c) || "_-./#?=%+".Contains(c));

    private static string Host(string written)
    {
        var absolute = written.Contains("://", StringComparison.Ordinal) ? written : "https://" + written;
        return Uri.TryCreate(absolute, UriKind.Absolute, out var uri) ? uri.IdnHost : written;
    }

    [GeneratedRegex(@"https?://[^\s<>""'`)\]]+|\b(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}\b", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 10_000)]
    private static partial Regex HostPattern();
}
