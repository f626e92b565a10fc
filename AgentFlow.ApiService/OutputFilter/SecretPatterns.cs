using System.Text.RegularExpressions;

namespace AgentFlow.ApiService.OutputFilter;

/// <summary>How keys and tokens look that have no business in an answer. Pure.</summary>
internal static partial class SecretPatterns
{
    public const string Mask = "[secret removed]";

    /// <summary>How they begin; a run of key characters from here is a candidate.</summary>
    public static readonly string[] Prefixes =
    [
        "sk-", "pk-", "rk_live_", "sk_live_", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "xoxa-", "xoxs-",
        "AIza", "ya29.", "eyJ", "af_", "m0-", "npm_", "hf_", "SG.",
    ];

    public static bool IsKeyCharacter(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' or '=' or '+' or '/';

    public static bool IsSecret(string run) => Pattern().IsMatch(run);

    [GeneratedRegex(
        @"^(?:[sp]k-[A-Za-z0-9_-]{16,}|[rs]k_live_[A-Za-z0-9]{16,}|A[KS]IA[0-9A-Z]{12,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[bpas]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?|af_[A-Za-z0-9_-]{20,}|m0-[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{20,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})",
        RegexOptions.CultureInvariant, 10_000)]
    private static partial Regex Pattern();
}
