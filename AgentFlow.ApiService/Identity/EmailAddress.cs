using System.Diagnostics.CodeAnalysis;

namespace AgentFlow.ApiService.Identity;

/// <summary>One spelling for one account: trimmed and lower case. Whether mail arrives there is not our concern.</summary>
internal static class EmailAddress
{
    private const int MaxLength = 254;
    private const int MaxLocalLength = 64;

    public static bool TryNormalize(string text, [NotNullWhen(true)] out string? email)
    {
        email = text.Trim().ToLowerInvariant();
        var at = email.IndexOf('@', StringComparison.Ordinal);
        var isOne = email.Length <= MaxLength && at is > 0 and <= MaxLocalLength && at == email.LastIndexOf('@') && at < email.Length - 1
            && !email.Any(c => char.IsWhiteSpace(c) || char.IsControl(c) || char.IsSurrogate(c) || c is '<' or '>' or '"' or ',' or ';');
        email = isOne ? email : null;
        return isOne;
    }
}
