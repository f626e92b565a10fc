namespace AgentFlow.AppHost.Local;

/// <summary>The words after <c>dotnet run --project AgentFlow.AppHost --</c>.</summary>
internal sealed record CommandLine(bool Reset, bool NoWeb, bool Help)
{
    public const string HelpText = """
        usage: dotnet run --project AgentFlow.AppHost [-- options]

        Starts AgentFlow on this machine: a private PostgreSQL, MemoryService, ApiService and Web, and prints the address to open.

          --reset    delete everything AgentFlow keeps here (accounts, documents, memories, secrets), then start
          --no-web   start without the web front end
          --help     this text

        Environment:
          AGENTFLOW_HOME                          the state folder (default: .agentflow beside the solution)
          AGENTFLOW_WEB_PORT, _API_PORT, _MEMORY_PORT
                                                  ports (default 5080, 5081, 5082; 0 takes any free one); a busy port that is
                                                  named here is an error, a busy default moves to the next free one
          AGENTFLOW_STOP_SECONDS                  what a stop may take before the rest is killed (default 9, up to 600)
          POSTGRES_URL                            a PostgreSQL to use instead of the private one, postgresql://user:password@host
          QDRANT_URL, QDRANT_PORT, QDRANT_API_KEY a Qdrant to use; otherwise `qdrant` from PATH, otherwise the in-process index
          OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_MODEL
                                                  a model provider; without one the built-in offline model answers
          OTEL_EXPORTER_OTLP_ENDPOINT             where telemetry goes; otherwise the Aspire dashboard if `aspire` is on PATH
          NO_COLOR                                no colours on the console

        The same settings may stand in a file named .env beside the solution; the environment wins.
        """;

    /// <exception cref="StartRefusedException">For a word that is not an option.</exception>
    public static CommandLine Parse(IReadOnlyList<string> args)
    {
        var known = new HashSet<string>(StringComparer.Ordinal) { "--reset", "--no-web", "--help", "-h" };
        if (args.FirstOrDefault(each => !known.Contains(each)) is { } unknown)
            throw new StartRefusedException($"Unknown option '{unknown}'. The options are --reset, --no-web and --help.");
        return new CommandLine(args.Contains("--reset"), args.Contains("--no-web"), args.Contains("--help") || args.Contains("-h"));
    }
}
