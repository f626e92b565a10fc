using System.Net.Http.Headers;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Web.Api;

namespace AgentFlow.Web.Files;

/// <summary>A short text of our own that leads a new user to the first cited answer.</summary>
internal static class SampleDocument
{
    private const string Name = "honey-bees.md";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250);

    public static async Task<DocumentId?> UploadAsync(ApiClient api, CancellationToken cancellationToken)
    {
        using var response = await api.OpenAsync(Request, cancellationToken);
        var uploaded = await ApiClient.ReadAsync<UploadResponse>(response, cancellationToken);
        return uploaded.Items is [{ Id: { } id }, ..] ? id : null;
    }

    /// <summary>True when it can be asked about; false when that takes too long or failed, which its own page explains.</summary>
    public static async Task<bool> WaitAsync(ApiClient api, DocumentId? document, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Poll);
        for (var waited = TimeSpan.Zero; document is { } id && waited < Patience && await timer.WaitForNextTickAsync(cancellationToken); waited += Poll)
        {
            if (await StatusAsync(api, id, cancellationToken) is { } status and (DocumentStatus.Ready or DocumentStatus.Failed))
                return status is DocumentStatus.Ready;
        }

        return false;
    }

    /// <summary>Null while the API does not say.</summary>
    private static async Task<DocumentStatus?> StatusAsync(ApiClient api, DocumentId id, CancellationToken cancellationToken)
    {
        try
        {
            return (await api.GetAsync<DocumentSummary>($"api/documents/{id}", cancellationToken)).Status;
        }
        catch (ApiException refusal) when (refusal.Problem.IsPassing)
        {
            return null;
        }
    }

    private static HttpRequestMessage Request()
    {
        var request = ApiClient.Streaming(HttpMethod.Post, "api/documents");
        var file = new StreamContent(typeof(SampleDocument).Assembly.GetManifestResourceStream(Name)!);
        file.Headers.ContentType = new MediaTypeHeaderValue("text/markdown");
        request.Content = new MultipartFormDataContent { { file, "file", Name } };
        return request;
    }
}
