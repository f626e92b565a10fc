namespace AgentFlow.Web.Components.SignIn;

internal static class LocalPaths
{
    /// <summary>The path when it stays on this site, else the start page: a return address comes from a link that anybody may have made.</summary>
    public static string OrHome(string? path) =>
        path is ['/', ..] && !path.StartsWith("//", StringComparison.Ordinal) && !path.Contains('\\', StringComparison.Ordinal)
            && !path.Any(char.IsControl) ? path : "/";
}
