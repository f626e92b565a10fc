namespace AgentFlow.ApiService.Models.OpenAICompatible;

/// <summary>
/// What a provider's model takes of a request. Older servers know only <c>max_tokens</c>; OpenAI's reasoning models refuse it and any
/// <c>temperature</c>:
/// <code>
/// {"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. ...","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}
/// </code>
/// Found out by the refusal, once for each provider.
/// </summary>
/// <param name="SaysCompletionTokens">The limit is called <c>max_completion_tokens</c>.</param>
/// <param name="HasTemperature">Takes <c>temperature</c>.</param>
/// <param name="HasUsage">Takes <c>stream_options</c>.</param>
internal sealed record RequestDialect(bool SaysCompletionTokens = false, bool HasTemperature = true, bool HasUsage = true)
{
    /// <returns>The dialect without what was refused; null where it is without it already, or can not be.</returns>
    public RequestDialect? Without(string? parameter) => parameter switch
    {
        "max_tokens" when !SaysCompletionTokens => this with { SaysCompletionTokens = true },
        "temperature" when HasTemperature => this with { HasTemperature = false },
        "stream_options" when HasUsage => this with { HasUsage = false },
        _ => null,
    };
}
