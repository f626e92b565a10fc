using AgentFlow.Web.Sessions;

namespace AgentFlow.Web.Edges;

/// <summary>
/// Until the data-protection keys have been read once, a page waits for the API with a page that says so. Without it the first visitor of a start
/// would make data protection read a key ring that is not there yet, and fail.
/// </summary>
internal sealed class KeyRingGate(RequestDelegate next, SessionVault vault)
{
    private volatile bool _isOpen;

    public async Task InvokeAsync(HttpContext context)
    {
        if (!_isOpen && IsPage(context.Request))
        {
            if (!await vault.IsReachableAsync(context.RequestAborted))
            {
                await WaitingPage.WriteAsync(context);
                return;
            }

            _isOpen = true;
        }

        await next(context);
    }

    private static bool IsPage(HttpRequest request) =>
        HttpMethods.IsGet(request.Method) && request.Headers.Accept.ToString().Contains("text/html", StringComparison.Ordinal);
}
