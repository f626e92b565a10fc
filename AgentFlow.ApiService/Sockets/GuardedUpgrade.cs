using Microsoft.AspNetCore.Http.Features;

namespace AgentFlow.ApiService.Sockets;

/// <summary>Puts a <see cref="FrameGuard"/> under every WebSocket of the process, over HTTP/1.1 and HTTP/2.</summary>
internal static class GuardedUpgrade
{
    /// <summary>Before <c>UseWebSockets</c>, which takes the upgrade that it finds.</summary>
    public static void UseFrameGuard(this WebApplication app, SocketOptions options)
    {
        var time = app.Services.GetRequiredService<TimeProvider>();
        var logger = app.Services.GetRequiredService<ILogger<FrameGuard>>();
        app.Use((context, next) =>
        {
            var upgrade = context.Features.Get<IHttpUpgradeFeature>();
            var connect = context.Features.Get<IHttpExtendedConnectFeature>();
            return upgrade is { IsUpgradableRequest: true } || connect is { IsExtendedConnect: true }
                ? GuardAsync(context, next, stream => new FrameGuard(stream, options, time, logger))
                : next(context);
        });
    }

    private static async Task GuardAsync(HttpContext context, RequestDelegate next, Func<Stream, FrameGuard> create)
    {
        FrameGuard? guard = null;
        Stream Under(Stream stream) => guard = create(stream);
        var lifetime = new LateAbort(context.Features.GetRequiredFeature<IHttpRequestLifetimeFeature>());
        context.Features.Set<IHttpRequestLifetimeFeature>(lifetime);
        if (context.Features.Get<IHttpUpgradeFeature>() is { } upgrade)
            context.Features.Set<IHttpUpgradeFeature>(new Upgrade(upgrade, Under));
        if (context.Features.Get<IHttpExtendedConnectFeature>() is { } connect)
            context.Features.Set<IHttpExtendedConnectFeature>(new Connect(connect, Under));
        await next(context);
        if (guard is not null)
            await guard.DrainAsync(context.RequestAborted);
        lifetime.End();
    }

    private sealed class Upgrade(IHttpUpgradeFeature inner, Func<Stream, Stream> under) : IHttpUpgradeFeature
    {
        public bool IsUpgradableRequest => inner.IsUpgradableRequest;

        public async Task<Stream> UpgradeAsync() => under(await inner.UpgradeAsync());
    }

    private sealed class Connect(IHttpExtendedConnectFeature inner, Func<Stream, Stream> under) : IHttpExtendedConnectFeature
    {
        public bool IsExtendedConnect => inner.IsExtendedConnect;

        public string? Protocol => inner.Protocol;

        public async ValueTask<Stream> AcceptAsync() => under(await inner.AcceptAsync());
    }

    /// <summary>
    /// The framework's WebSocket says why it ends, by a close frame, and resets the connection in the same breath, which can take the frame
    /// away with it. The reset waits for the end of the request.
    /// </summary>
    private sealed class LateAbort(IHttpRequestLifetimeFeature inner) : IHttpRequestLifetimeFeature
    {
        private volatile bool _isAsked;

        public CancellationToken RequestAborted
        {
            get => inner.RequestAborted;
            set => inner.RequestAborted = value;
        }

        public void Abort() => _isAsked = true;

        public void End()
        {
            if (_isAsked)
                inner.Abort();
        }
    }
}
