namespace AgentFlow.AppHost.Local;

/// <summary>
/// Puts a guard before a program that does not watch its standard input: the guard reads to the end of the pipe from the AppHost and
/// then signals the program. The pipe ends when the AppHost closes it, and when it dies.
/// </summary>
internal static class Guard
{
    /// <summary>
    /// The shell itself waits for both ends, so it costs no runtime of its own. The reader is killed when the program ends first; an
    /// exit code above 128 says that a signal ended the program. A shell starts what runs beside it with SIGINT ignored; PostgreSQL
    /// sets that signal's handler again, others would never hear it.
    /// </summary>
    private const string Script = """
        exec 3<&0 </dev/null
        signal=$1
        shift
        "$@" 3<&- &
        program=$!
        { while read -r _; do :; done; kill -$signal $program; } <&3 >/dev/null 2>&1 3<&- &
        reader=$!
        exec 3<&-
        wait $program
        status=$?
        kill -KILL $reader 2>/dev/null
        exit $status
        """;

    /// <param name="signal">Asks the program to stop: TERM for most, INT (fast shutdown) for PostgreSQL.</param>
    /// <param name="command">The program and its arguments.</param>
    public static IReadOnlyList<string> Before(string signal, IEnumerable<string> command) => ["sh", "-c", Script, "agentflow-guard", signal, .. command];
}
