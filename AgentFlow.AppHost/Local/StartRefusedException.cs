namespace AgentFlow.AppHost.Local;

/// <summary>AgentFlow can not start as things are. The message is for the person at the terminal: what is wrong, and the cure.</summary>
internal sealed class StartRefusedException(string message) : Exception(message);
