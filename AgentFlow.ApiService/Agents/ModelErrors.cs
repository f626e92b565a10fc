using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Runs;

namespace AgentFlow.ApiService.Agents;

/// <summary>What a run says when its model failed. The detail names no provider's words.</summary>
internal static class ModelErrors
{
    /// <param name="e">The last provider's failure.</param>
    /// <param name="hasAnswered">Text was sent: the answer broke off and stays as it is.</param>
    public static Exception ToRunFailure(ModelException e, bool hasAnswered)
    {
        if (hasAnswered)
            return new RunInterruptedException(e.Message);
        var (code, detail, status) = e.Fault switch
        {
            ModelFault.RateLimited => ("model_rate_limited", "The model's provider takes no more requests for now.", 503),
            ModelFault.Timeout => ("model_timeout", "The model did not answer in time.", 503),
            ModelFault.Refused => ("model_refused", "The model's provider refused the request; the administrator should check its key and model name.", 503),
            ModelFault.BadRequest => ("model_rejected_request", "The model's provider did not accept the request.", 503),
            ModelFault.ContextTooLong => ("context_too_long", "The conversation is longer than the model can take.", 400),
            ModelFault.Malformed or ModelFault.Cut => ("model_malformed_answer", "The model's answer broke off or could not be read.", 503),
            _ => ("model_unavailable", "The model can not be reached at the moment.", 503),
        };
        return new RunFailedException(code, detail, status, status == 503 ? RetryAfter(e) : null);
    }

    private static TimeSpan RetryAfter(ModelException e) => e.RetryAfter is { } wait && wait > TimeSpan.Zero ? wait : TimeSpan.FromSeconds(5);
}
