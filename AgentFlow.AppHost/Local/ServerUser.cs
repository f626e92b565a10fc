using System.Globalization;

namespace AgentFlow.AppHost.Local;

/// <summary>
/// The user that PostgreSQL's programs run as when the AppHost is root: they refuse to be root themselves. A normal user needs none.
/// </summary>
internal sealed record ServerUser(string Name, uint UserId, uint GroupId)
{
    private const string Users = "/etc/passwd";

    /// <summary>Null for a normal user; otherwise <c>postgres</c>, or <c>nobody</c> where no package has made that user.</summary>
    /// <exception cref="StartRefusedException">When neither exists.</exception>
    public static ServerUser? ForThisProcess()
    {
        if (!Native.IsRoot)
            return null;
        var users = File.ReadLines(Users).Select(Parse).OfType<ServerUser>().ToList();
        return users.Find(each => each.Name == "postgres") ?? users.Find(each => each.Name == "nobody")
            ?? throw new StartRefusedException("PostgreSQL refuses to run as root, and there is no user 'postgres' or 'nobody' to run it as. Start AgentFlow as a normal user.");
    }

    /// <summary>The words before a command that make it run as this user; exec, so the process id stays.</summary>
    public IReadOnlyList<string> Prefix =>
        ["setpriv", string.Create(CultureInfo.InvariantCulture, $"--reuid={UserId}"), string.Create(CultureInfo.InvariantCulture, $"--regid={GroupId}"), "--clear-groups"];

    /// <summary>Example: <c>postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash</c>.</summary>
    private static ServerUser? Parse(string line)
    {
        var fields = line.Split(':');
        return fields.Length >= 4 && uint.TryParse(fields[2], CultureInfo.InvariantCulture, out var user) && uint.TryParse(fields[3], CultureInfo.InvariantCulture, out var group)
            ? new ServerUser(fields[0], user, group)
            : null;
    }
}
