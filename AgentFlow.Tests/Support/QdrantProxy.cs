using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.Support;

/// <summary>Stands before a real Qdrant and passes everything on, until it is told to answer otherwise. Thread-safe.</summary>
internal sealed class QdrantProxy : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly QdrantServer _server;
    private volatile Func<HttpContext, Task>? _answer;
    private int _answered;

    private QdrantProxy(QdrantServer server)
    {
        _server = server;
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        _app = builder.Build();
        _app.Run(HandleAsync);
    }

    /// <summary>What answers in Qdrant's place; null passes on again.</summary>
    public Func<HttpContext, Task>? Answer
    {
        set => _answer = value;
    }

    /// <summary>How many requests were not passed on.</summary>
    public int Answered => Volatile.Read(ref _answered);

    public string ConnectionString(TimeSpan timeout) => $"Endpoint={_app.Urls.First()};Key={_server.ApiKey};Timeout={timeout}";

    public static async Task<QdrantProxy> StartAsync(QdrantServer server, CancellationToken ct)
    {
        var proxy = new QdrantProxy(server);
        await proxy._app.StartAsync(ct);
        return proxy;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }

    private async Task HandleAsync(HttpContext context)
    {
        if (_answer is { } answer)
        {
            Interlocked.Increment(ref _answered);
            await answer(context);
            return;
        }

        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), new Uri(_server.Endpoint, $"{context.Request.Path}{context.Request.QueryString}"));
        request.Headers.Add("api-key", _server.ApiKey);
        if (context.Request.ContentLength is not null || context.Request.Headers.TransferEncoding.Count > 0)
        {
            request.Content = new StreamContent(context.Request.Body);
            request.Content.Headers.TryAddWithoutValidation("Content-Type", context.Request.ContentType);
        }

        using var response = await _server.Client.SendAsync(request, context.RequestAborted);
        context.Response.StatusCode = (int)response.StatusCode;
        context.Response.ContentType = response.Content.Headers.ContentType?.ToString();
        await response.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
    }
}
