namespace AgentFlow.ApiService.Models;

/// <summary>Why a provider gave no complete answer.</summary>
internal enum ModelFault
{
    /// <summary>No connection, or it broke before an answer.</summary>
    Unreachable,

    /// <summary>429.</summary>
    RateLimited,

    /// <summary>5xx, or an error object inside a stream.</summary>
    Unavailable,

    /// <summary>401, 403, 404: the key or the model is not accepted.</summary>
    Refused,

    /// <summary>Any other 4xx: the request itself is at fault, and another provider would say the same.</summary>
    BadRequest,

    /// <summary>The prompt is longer than the model's context.</summary>
    ContextTooLong,

    /// <summary>No first or no further token in time.</summary>
    Timeout,

    /// <summary>The stream is not what the format says: bad JSON, endless line, wrong media type.</summary>
    Malformed,

    /// <summary>The stream ended before it said that it was complete.</summary>
    Cut,

    /// <summary>The provider's circuit is open after repeated failures.</summary>
    CircuitOpen,
}

/// <summary>A provider failed. The message is ours and safe to log; what the provider wrote is kept out of it.</summary>
internal sealed class ModelException(ModelFault fault, string provider, string message, TimeSpan? retryAfter = null, Exception? inner = null)
    : Exception(message, inner)
{
    public ModelFault Fault => fault;

    /// <summary>The member of the request that the provider does not know or take, where it says so.</summary>
    public string? UnsupportedParameter { get; init; }

    public string Provider => provider;

    /// <summary>What the provider asked for, or how long its circuit stays open.</summary>
    public TimeSpan? RetryAfter => retryAfter;

    /// <summary>Whether the same provider may be asked again, as long as it has sent no token.</summary>
    public bool CanRetry => fault is ModelFault.Unreachable or ModelFault.RateLimited or ModelFault.Unavailable or ModelFault.Malformed or ModelFault.Cut;

    /// <summary>Whether another provider may do better.</summary>
    public bool CanFailOver => fault is not (ModelFault.BadRequest or ModelFault.ContextTooLong);
}
