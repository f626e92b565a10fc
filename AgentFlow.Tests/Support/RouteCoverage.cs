using System.Collections.Concurrent;
using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

[assembly: AssemblyFixture(typeof(AgentFlow.Tests.Support.RouteCoverage))]

namespace AgentFlow.Tests.Support;

/// <summary>
/// Sees every request of the whole run that reaches a service in this process, and at the end of a complete run fails it when a route was
/// never answered with a success or never with a refusal. Requests that go over all routes by machine are marked and do not count.
/// </summary>
public sealed class RouteCoverage : IDisposable
{
    /// <summary>On requests of the matrix and of fuzzing: they touch every route, but test none for what it does.</summary>
    public const string NotCounted = "X-Test-Generated";

    /// <summary>Take no input and ask for nobody: there is nothing to refuse.</summary>
    private static readonly string[] NothingToRefuse = ["api GET /health", "api GET /ready", "api GET /api/auth/registration", "memory GET /health", "memory GET /ready"];

    private static readonly ConcurrentDictionary<string, byte> Routes = new(StringComparer.Ordinal);
    private static readonly ConcurrentDictionary<string, byte> Succeeded = new(StringComparer.Ordinal);
    private static readonly ConcurrentDictionary<string, byte> Refused = new(StringComparer.Ordinal);
    private static readonly ConcurrentDictionary<string, byte> Classes = new(StringComparer.Ordinal);

    /// <summary>Put first into a service's pipeline.</summary>
    internal static IStartupFilter Recorder(string service) => new Filter(service);

    /// <summary>The routes that a service has; called once it is built.</summary>
    internal static void Declare(string service, IEndpointRouteBuilder app)
    {
        if (TestContext.Current.TestClass?.TestClassName is { } name)
        {
            Classes.TryAdd(name, 0);
        }

        foreach (var endpoint in app.DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>())
        {
            // The document of the routes is not one of them.
            if (endpoint.Metadata.GetMetadata<Microsoft.AspNetCore.Routing.IExcludeFromDescriptionMetadata>()?.ExcludeFromDescription is not true)
            {
                foreach (var method in Methods(endpoint))
                {
                    Routes.TryAdd(Key(service, method, endpoint), 0);
                }
            }
        }
    }

    public void Dispose()
    {
        if (!IsCompleteRun())
        {
            return;
        }

        var missing = Routes.Keys.Where(route => !Succeeded.ContainsKey(route)).Select(route => $"{route}: no success")
            .Concat(Routes.Keys.Where(route => !Refused.ContainsKey(route) && !NothingToRefuse.Contains(route)).Select(route => $"{route}: no refusal"))
            .Order(StringComparer.Ordinal)
            .ToArray();
        Assert.True(missing.Length == 0, $"Routes without a test:{Environment.NewLine}{string.Join(Environment.NewLine, missing)}");
    }

    internal static IEnumerable<string> Methods(RouteEndpoint endpoint) => endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods is { Count: > 0 } methods ? methods : ["GET"];

    internal static string Key(string service, string method, RouteEndpoint endpoint) => $"{service} {method} /{endpoint.RoutePattern.RawText?.Trim('/')}";

    /// <summary>A run of some classes proves nothing about the others: only one without a filter that started every class with a host counts.</summary>
    private static bool IsCompleteRun() => !Environment.GetCommandLineArgs().Any(argument => argument.TrimStart('-') is "class" or "class-" or "namespace" or "method" or "trait" or "filter" or "id")
        && typeof(RouteCoverage).Assembly.GetTypes()
            .Where(type => type.GetInterfaces().Contains(typeof(IClassFixture<ApiHost>)))
            .All(type => Classes.ContainsKey(type.FullName!));

    private sealed class Filter(string service) : IStartupFilter
    {
        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
        {
            app.Use(async (context, rest) =>
            {
                await rest(context);
                Record(service, context);
            });
            next(app);
        };

        private static void Record(string service, HttpContext context)
        {
            if (context.GetEndpoint() is not RouteEndpoint endpoint || context.Request.Headers.ContainsKey(NotCounted))
            {
                return;
            }

            var seen = context.Response.StatusCode switch
            {
                101 or (>= 200 and < 300) => Succeeded,
                >= 400 and < 500 => Refused,
                _ => null,
            };
            seen?.TryAdd(Key(service, context.Request.Method, endpoint), 0);
        }
    }
}
