namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>The document can not be read; the message is shown to its owner and trying again would not help.</summary>
internal sealed class ExtractionFailedException(string reason) : Exception(reason);
