using AgentFlow.ServiceDefaults;
using AgentFlow.ServiceDefaults.Edges;
using AgentFlow.ServiceDefaults.Hosting;
using AgentFlow.Web.Api;
using AgentFlow.Web.Components;
using AgentFlow.Web.Edges;
using AgentFlow.Web.Files;
using AgentFlow.Web.Sessions;

return await ServiceProcess.RunAsync(() =>
{
    var builder = WebApplication.CreateBuilder(args);

    // The static files' manifest is only read in Development by default; run from build output it is needed everywhere.
    builder.WebHost.UseStaticWebAssets();
    builder.AddServiceDefaults("agentflow-web");
    builder.AddServiceEdges();
    builder.AddSessions();
    builder.AddApi();
    builder.AddPages();
    builder.Services.AddLocalization();

    var app = builder.Build();
    app.UseServiceDefaults();
    app.UseServiceEdges();
    app.UseMiddleware<StoppingGate>();
    app.UseMiddleware<SecurityHeaders>();
    app.UseMiddleware<OriginGate>();
    app.UseMiddleware<KeyRingGate>();
    app.UseExceptionHandler("/error", createScopeForErrors: true);
    app.UseAuthentication();
    app.UseAuthorization();
    app.UseAntiforgery();
    app.MapDefaultEndpoints();
    app.MapStaticAssets().AllowAnonymous();
    app.MapSessions();
    app.MapFiles();
    app.MapPages();
    return app;
});
