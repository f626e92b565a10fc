using AgentFlow.ApiService.Identity;
using Microsoft.AspNetCore.Http.Timeouts;
using Npgsql;

namespace AgentFlow.ApiService.Edges;

/// <summary>
/// An open stream outlives the check of its request: so its caller is looked at again while it goes on, and cut off once the sign-in has
/// ended, the key was revoked or the account was disabled. With the age that <see cref="AccessStates"/> allows, within 5 s.
/// </summary>
internal sealed partial class StreamAccess(RequestDelegate next, AccessStates access, TimeProvider time, ILogger<StreamAccess> logger)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1.5);

    public async Task InvokeAsync(HttpContext context)
    {
        if (context.User is not CallerPrincipal { Caller: var caller } || context.GetEndpoint()?.Metadata.GetMetadata<DisableRequestTimeoutAttribute>() is null)
        {
            await next(context);
            return;
        }

        var ended = new TaskCompletionSource();
        var watching = WatchAsync(ended.Task, caller, context);
        try
        {
            await next(context);
        }
        finally
        {
            ended.SetResult();
            await watching;
        }
    }

    private async Task WatchAsync(Task ended, Caller caller, HttpContext context)
    {
        while (true)
        {
            await ended.WaitAsync(Interval, time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (ended.IsCompleted)
                return;
            try
            {
                if (await access.IsAllowedAsync(caller, context.RequestAborted))
                    continue;
                LogEnded(logger, caller.LimitKey);
                context.Abort();
                return;
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (NpgsqlException error)
            {
                // Nobody can end a sign-in while the database is away, either.
                LogUnknown(logger, error);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "A stream of {Caller} was cut off: its access has ended")]
    private static partial void LogEnded(ILogger logger, string caller);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Whether a stream's caller may still be here is not known; the next look asks again")]
    private static partial void LogUnknown(ILogger logger, Exception error);
}
