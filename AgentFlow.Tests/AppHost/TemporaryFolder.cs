namespace AgentFlow.Tests.AppHost;

/// <summary>A folder that everybody may enter, so that PostgreSQL's user can reach what lies in it; gone with the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public TemporaryFolder()
    {
        Path = Directory.CreateTempSubdirectory("agentflow-test-").FullName;
        File.SetUnixFileMode(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
    }

    public string Path { get; }

    public string this[string name] => System.IO.Path.Combine(Path, name);

    /// <summary>A file that runs as a program.</summary>
    public string Program(string relative, string script)
    {
        var path = this[relative];
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "#!/bin/sh\n" + script + "\n");
        File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
        return path;
    }

    /// <summary>A process that is just ending can still write one last file.</summary>
    public void Dispose()
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                Directory.Delete(Path, recursive: true);
                return;
            }
            catch (IOException) when (tries < 200 && Directory.Exists(Path))
            {
                Thread.Sleep(50);
            }
        }
    }
}
