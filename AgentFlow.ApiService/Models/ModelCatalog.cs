using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Models.Extractive;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Models;

/// <summary>Which models there are and who offers them. Fixed when the service starts. Thread-safe.</summary>
internal sealed class ModelCatalog(IOptions<ModelOptions> options)
{
    private readonly IReadOnlyList<ProviderOptions> _providers =
        [.. options.Value.Providers.Where(p => p.Serves(ModelRoles.Chat)).OrderBy(p => p.Priority)];

    /// <summary>The configured chat providers, the first choice first; empty where the built-in model answers.</summary>
    public IReadOnlyList<ProviderOptions> ChatProviders => _providers;

    /// <summary>True where no chat provider is configured: the built-in model answers.</summary>
    public bool IsOffline => _providers.Count == 0;

    /// <summary>Names of the models that a run may ask for, the default first.</summary>
    public IReadOnlyList<ModelSummary> Models => IsOffline
        ? [BuiltIn]
        : [.. _providers.GroupBy(p => p.Model, StringComparer.Ordinal).Select(g => new ModelSummary(g.Key, g.First().DisplayName, Offline: false)), BuiltIn];

    private static ModelSummary BuiltIn => new(ExtractiveChatClient.ModelName, ExtractiveChatClient.ProviderName, Offline: true);

    /// <summary>The model of a run: the one asked for, or the agent's first.</summary>
    /// <exception cref="ProblemException">400: not in the agent's list; 503: listed, but no provider offers it.</exception>
    public string Choose(AgentDefinition agent, string? asked)
    {
        if (asked is not null && !agent.MayUse(asked))
            throw new ProblemException(StatusCodes.Status400BadRequest, "model_not_allowed", $"The agent '{agent.Slug}' may not use this model.")
            {
                Errors = new Dictionary<string, string[]>(StringComparer.Ordinal) { ["model"] = [$"Use one of: {string.Join(", ", Allowed(agent))}."] },
            };
        var model = asked ?? First(agent);
        return IsConfigured(model) ? model : throw Unavailable(model);
    }

    /// <summary>The providers to ask for a model, in order: those that offer it, then others whose model the agent may use as well.</summary>
    public IReadOnlyList<ProviderOptions> RoutesOf(AgentDefinition agent, string model) =>
    [
        .. _providers.Where(p => p.Model == model),
        .. _providers.Where(p => p.Model != model && agent.MayUse(p.Model)),
    ];

    private string First(AgentDefinition agent) => agent.Models[0] == AgentDefinition.AnyModel ? Models[0].Id : agent.Models[0];

    private IEnumerable<string> Allowed(AgentDefinition agent) => Models.Select(m => m.Id).Where(agent.MayUse);

    private bool IsConfigured(string model) => model == ExtractiveChatClient.ModelName || _providers.Any(p => p.Model == model);

    private static ProblemException Unavailable(string model) => new(
        StatusCodes.Status503ServiceUnavailable, "model_not_configured", $"No configured provider offers the model '{model}'.")
    {
        RetryAfter = TimeSpan.FromMinutes(1),
    };
}

/// <param name="Id">What a request's <c>model</c> names.</param>
/// <param name="Provider">Who answers first.</param>
/// <param name="Offline">True for the built-in model.</param>
internal sealed record ModelSummary(string Id, string Provider, bool Offline);

/// <param name="Default">Used where neither the request nor the agent names one.</param>
internal sealed record ModelsResponse(IReadOnlyList<ModelSummary> Items, string Default);
