namespace AgentFlow.AppHost.Local;

/// <summary>Where the solution and the services' build output lie, told from where the AppHost itself was built.</summary>
/// <param name="Solution">The folder of AgentFlow.sln.</param>
/// <param name="Output">The build output inside a project, e.g. <c>bin/Debug/net10.0</c>: the services run in the AppHost's own configuration.</param>
/// <param name="DotNet">The program that runs the services: the one whose runtime runs the AppHost.</param>
internal sealed record Installation(string Solution, string Output, string DotNet)
{
    /// <exception cref="StartRefusedException">When the AppHost does not run from its build output.</exception>
    public static Installation Find()
    {
        var output = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/'));
        var project = output;
        while (project is not null && !File.Exists(Path.Combine(project.FullName, "AgentFlow.AppHost.csproj")))
            project = project.Parent;
        if (project?.Parent is not { } solution)
            throw new StartRefusedException($"The AppHost runs from its build output in the repository, and {output.FullName} is not inside one. Use: dotnet run --project AgentFlow.AppHost");

        // <dotnet root>/shared/Microsoft.NETCore.App/10.0.1/System.Private.CoreLib.dll
        var runtime = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
        var dotnet = Path.GetFullPath(Path.Combine(runtime, "..", "..", "..", "dotnet"));
        return new Installation(solution.FullName, Path.GetRelativePath(project.FullName, output.FullName), dotnet);
    }

    public string Project(string name) => Path.Combine(Solution, name);

    /// <exception cref="StartRefusedException">When the project is not built.</exception>
    public string Assembly(string project)
    {
        var path = Path.Combine(Project(project), Output, project + ".dll");
        return File.Exists(path) ? path : throw new StartRefusedException($"{project} is not built ({path} is missing). Run: dotnet build AgentFlow.sln");
    }
}
