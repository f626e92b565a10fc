namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>The roles that migrations grant to. None of them is a superuser, may log in, or bypasses row-level security.</summary>
public static class Roles
{
    /// <summary>Owns the tables and runs migrations.</summary>
    public const string Owner = "agentflow_owner";

    /// <summary>The services; bound to <c>app.owner_id</c> by row-level security.</summary>
    public const string App = "agentflow_app";

    /// <summary>Queue, outbox and index workers and the writer of the run log.</summary>
    public const string Worker = "agentflow_worker";
}
