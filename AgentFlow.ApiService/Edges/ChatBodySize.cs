using AgentFlow.ApiService.Limits;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Edges;

/// <summary>A chat's body may be of another size than that of other routes.</summary>
internal sealed class ChatBodySize(RequestDelegate next, IOptions<LimitOptions> limits)
{
    public Task InvokeAsync(HttpContext context)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<LimitedAs>()?.Kind is LimitKind.Chat
            && context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = limits.Value.ChatBodyBytes;
        }

        return next(context);
    }
}
