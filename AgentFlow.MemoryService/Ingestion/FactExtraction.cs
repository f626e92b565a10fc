using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>Finds the facts in what was said: by the configured model in one call for each window, or by rules where there is none. Thread-safe.</summary>
internal sealed partial class FactExtraction(ModelExtraction model, IOptions<MemoryOptions> options, ILogger<FactExtraction> logger)
{
    /// <summary>A text that was handed over to be remembered and is no longer than this is a fact as it stands.</summary>
    private const int MaxPlainFact = 500;

    /// <exception cref="ProblemException">502: the model refused, failed or answered nonsense, and rules may not stand in.</exception>
    internal async Task<Extraction> ExtractAsync(Guid ownerId, MemoryScope scope, AddMemoryRequest request, CancellationToken ct)
    {
        var said = EchoGuard.Strip(request.Messages ?? [new MemoryMessage("user", request.Text!)]);
        if (said.Count == 0)
            return new Extraction([], model.IsConfigured ? "model" : "rules");
        if (!model.IsConfigured)
            return ByRules(scope, request, said);
        try
        {
            return await model.ExtractAsync(ownerId, scope, request, said, ct);
        }
        catch (ExtractionFailedException failure) when (options.Value.OnExtractionFailure == ExtractionFailure.Rules)
        {
            LogRulesStandIn(failure.Code, failure.Message);
            return ByRules(scope, request, said) with { Degraded = [$"extraction: {failure.Code}"] };
        }
        catch (ExtractionFailedException failure)
        {
            throw new ProblemException(StatusCodes.Status502BadGateway, failure.Code, failure.Message);
        }
    }

    private static Extraction ByRules(MemoryScope scope, AddMemoryRequest request, IReadOnlyList<MemoryMessage> said)
    {
        var speaker = scope.UserId is null && scope.AgentId is not null ? "assistant" : "user";
        var facts = said.Where(message => request.Messages is null || IsSaidBy(message, speaker))
            .SelectMany(message => RuleExtraction.Extract(message.Content))
            .Distinct(StringComparer.Ordinal)
            .Select(text => new ExtractedFact(text))
            .ToList();
        if (facts.Count == 0 && request.Text is { Length: <= MaxPlainFact } plain && !plain.TrimEnd().EndsWith('?') && said.Count == 1)
            facts.Add(new ExtractedFact(said[0].Content.Trim()));
        return new Extraction(facts, "rules");
    }

    private static bool IsSaidBy(MemoryMessage message, string speaker) =>
        message.Role.Equals(speaker, StringComparison.OrdinalIgnoreCase)
        || (speaker == "user" && message.Role.Equals("human", StringComparison.OrdinalIgnoreCase));

    [LoggerMessage(Level = LogLevel.Warning, Message = "Rules stand in for the extraction model ({Code}): {Reason}")]
    private partial void LogRulesStandIn(string code, string reason);
}

/// <summary>The model was asked and gave nothing that can be used.</summary>
/// <param name="code">extraction_refused, extraction_malformed, extraction_truncated, extraction_timeout or extraction_unavailable.</param>
internal sealed class ExtractionFailedException(string code, string message, Exception? cause = null) : Exception(message, cause)
{
    internal string Code { get; } = code;
}
