namespace AgentFlow.AppHost;

internal static class ResourceNames
{
}
