using System.Net;

namespace AgentFlow.Tests.Retrieval.Index.Histories;

/// <summary>The network to Qdrant on a bad day: requests that never arrive, and answers that are lost after the request was carried out.</summary>
internal sealed class FaultyTransport(HttpMessageHandler inner, Random random) : DelegatingHandler(inner)
{
    /// <summary>0 to 1: how often a request goes wrong.</summary>
    public double FaultRate { get; set; }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var (isFaulty, kind) = (random.NextDouble() < FaultRate, random.Next(4));
        if (isFaulty && kind == 0)
            throw new HttpRequestException("The connection was refused (injected).");
        if (isFaulty && kind == 1)
            return new HttpResponseMessage(HttpStatusCode.InternalServerError) { Content = new StringContent("{}") };
        var response = await base.SendAsync(request, cancellationToken);
        if (!isFaulty)
            return response;
        response.Dispose();
        return kind == 2
            ? throw new HttpRequestException("The connection was cut before the answer (injected).")
            : new HttpResponseMessage(HttpStatusCode.InternalServerError) { Content = new StringContent("{}") };
    }
}
