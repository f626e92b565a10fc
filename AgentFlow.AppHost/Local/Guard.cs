namespace AgentFlow.AppHost.Local;

/// <summary>
/// Puts a guard before a program that does not watch its standard input: the guard reads to the end of the pipe from the AppHost and
/// then interrupts the program (SIGINT is PostgreSQL's fast shutdown). The pipe ends when the AppHost closes it, and when it dies.
/// </summary>
internal static class Guard
{
    /// <summary>
    /// The shell itself waits for both ends, so it costs no runtime of its own. The reader is killed when the program ends first; an
    /// exit code above 128 says that a signal ended the program.
    /// </summary>
    private const string Script = """
        exec 3<&0 </dev/null
        "$@" 3<&- &
        program=$!
        { while read -r _; do :; done; kill -INT $program; } <&3 >/dev/null 2>&1 3<&- &
        reader=$!
        exec 3<&-
        wait $program
        status=$?
        kill -KILL $reader 2>/dev/null
        exit $status
        """;

    public static IReadOnlyList<string> Before(IEnumerable<string> command) => ["sh", "-c", Script, "agentflow-guard", .. command];
}
