using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;

namespace AgentFlow.ApiService.Limits;

/// <summary>
/// Makes a route's time limit hold while its body is still arriving. The framework reads JSON bodies without the request's token, so a
/// client that sends a little more than Kestrel's least rate (240 bytes/s) would never be cut. Comes after the time limits.
/// </summary>
internal sealed class BodyDeadline(RequestDelegate next)
{
    public async Task InvokeAsync(HttpContext context)
    {
        if (context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true })
        {
            await next(context);
            return;
        }

        await using var cut = context.RequestAborted.UnsafeRegister(static reader => ((PipeReader)reader!).CancelPendingRead(), context.Request.BodyReader);
        await next(context);
    }
}
