using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Access;

/// <summary>Who gets in, as decided by people: one line a route. A route that is not here fails the matrix, whatever its code says.</summary>
internal static class RouteTable
{
    /// <summary>method, route, access; the words are those of <see cref="AccessMatrixTests"/>.</summary>
    private const string Declared =
        """
        GET    /health                            anyone
        GET    /ready                             anyone
        GET    /openapi/{documentName}.json       anyone
        GET    /api/auth/registration             anyone
        POST   /api/auth/register                 anyone
        POST   /api/auth/login                    anyone
        POST   /api/auth/refresh                  anyone
        POST   /api/auth/logout                   person
        POST   /api/auth/logout-all               person
        POST   /api/auth/password                 person
        GET    /api/auth/sessions                 person
        DELETE /api/auth/sessions/{id:guid}       person
        GET    /api/auth/me                       read
        PATCH  /api/auth/me                       write
        GET    /api/auth/me/export                person
        POST   /api/auth/me/erase                 person
        GET    /api/auth/erasures/{id}            anyone
        GET    /api/auth/keys                     person
        POST   /api/auth/keys                     person
        DELETE /api/auth/keys/{id}                person
        GET    /api/admin/users                   admin
        GET    /api/admin/users/{id}              admin
        PATCH  /api/admin/users/{id}              admin
        DELETE /api/admin/users/{id}              admin
        POST   /api/admin/users/{id}/reset-password admin
        GET    /api/admin/invites                 admin
        POST   /api/admin/invites                 admin
        DELETE /api/admin/invites/{id:guid}       admin
        GET    /api/admin/stats                   admin
        GET    /api/admin/activity                admin
        GET    /api/admin/audit                   admin
        GET    /api/admin/health                  admin
        GET    /api/admin/configuration           admin
        GET    /internal/web/sessions/{key:length(64)}    web
        PUT    /internal/web/sessions/{key:length(64)}    web
        DELETE /internal/web/sessions/{key:length(64)}    web
        GET    /internal/web/keys                 web
        POST   /internal/web/keys                 web
        POST   /api/ws-ticket                     chat-write
        GET    /ws/chat                           anyone
        GET    /api/rooms                         chat-read
        POST   /api/rooms                         chat-write
        GET    /api/rooms/{id:guid}               chat-read
        PATCH  /api/rooms/{id:guid}               chat-write
        DELETE /api/rooms/{id:guid}               chat-write
        GET    /api/rooms/{id:guid}/messages      chat-read
        GET    /api/rooms/{id:guid}/members       chat-read
        POST   /api/rooms/{id:guid}/members       chat-write
        DELETE /api/rooms/{id:guid}/members/{userId:guid} chat-write
        GET    /ws/rooms/{id:guid}                anyone
        GET    /api/models                        read
        GET    /api/agents                        chat-read
        POST   /api/agents                        chat-write
        GET    /api/agents/{slug}                 chat-read
        GET    /api/agents/{slug}/versions        chat-read
        GET    /api/tools                         chat-read
        PUT    /api/agents/{slug}                 chat-write
        DELETE /api/agents/{slug}                 chat-write
        GET    /api/admin/usage                   admin
        POST   /api/documents                     documents-write
        POST   /api/chat                          chat-write
        POST   /api/v1/chat/query                 chat-write
        GET    /api/chat                          chat-read
        GET    /api/chat/search                   chat-read
        GET    /api/chat/{id:guid}                chat-read
        PATCH  /api/chat/{id:guid}                chat-write
        DELETE /api/chat/{id:guid}                chat-write
        GET    /api/chat/{id:guid}/history        chat-read
        GET    /api/chat/{id:guid}/export         chat-read
        POST   /api/chat/{id:guid}/cancel         chat-write
        GET    /api/runs/{id:guid}                chat-read
        GET    /api/runs/{id:guid}/events         chat-read
        POST   /api/runs/{id:guid}/cancel         chat-write
        GET    /api/documents                     documents-read
        GET    /api/documents/{id}                documents-read
        DELETE /api/documents/{id}                documents-write
        GET    /api/documents/{id}/content        documents-read
        GET    /api/documents/{id}/text           documents-read
        GET    /api/documents/{id}/chunks         documents-read
        POST   /api/documents/{id}/retry          documents-write
        POST   /api/documents/search              documents-read
        PATCH  /api/documents/{id}                documents-write
        PUT    /api/documents/{id}/content        documents-write
        POST   /api/documents/{id}/cancel         documents-write
        POST   /api/documents/url                 documents-write
        GET    /api/collections                   documents-read
        POST   /api/collections                   documents-write
        DELETE /api/collections/{id}              documents-write
        PUT    /api/collections/{id}/documents/{documentId} documents-write
        DELETE /api/collections/{id}/documents/{documentId} documents-write
        GET    /api/collections/{id}/members      documents-read
        POST   /api/collections/{id}/members      documents-write
        DELETE /api/collections/{id}/members/{userId} documents-write
        POST   /api/runs/{runId}/approvals/{callId} chat-write
        POST   /api/tasks                         chat-write
        GET    /api/tasks                         chat-read
        GET    /api/tasks/{id}                    chat-read
        GET    /api/tasks/{id}/events             chat-read
        GET    /api/tasks/{id}/file               memory-read
        POST   /api/tasks/{id}/cancel             chat-write
        POST   /api/tasks/{id}/replay             chat-write
        GET    /api/memories                      memory-read
        POST   /api/memories                      memory-write
        DELETE /api/memories                      memory-write
        GET    /api/memories/{id}                 memory-read
        PATCH  /api/memories/{id}                 memory-write
        DELETE /api/memories/{id}                 memory-write
        GET    /api/memories/{id}/history         memory-read
        GET    /api/memories/review               memory-read
        POST   /api/memories/review/{id}          memory-write
        POST   /api/memories/export               memory-write
        POST   /api/memories/import               memory-write
        POST   /api/memories/erase                memory-write
        POST   /api/memories/search               memory-read
        """;

    public static IReadOnlyDictionary<string, string> Access { get; } = Declared.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .ToDictionary(words => $"{words[0]} {words[1]}", words => words[2], StringComparer.Ordinal);

    /// <summary>Every route of a service with its method, as <c>GET /api/x/{id}</c>.</summary>
    public static IReadOnlyList<(string Method, RouteEndpoint Endpoint, string Name)> Of(WebApplication app) =>
    [
        .. ((IEndpointRouteBuilder)app).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .SelectMany(endpoint => RouteCoverage.Methods(endpoint).Select(method => (method, endpoint, $"{method} /{endpoint.RoutePattern.RawText?.Trim('/')}")))
            .Where(route => !route.Item3.Contains("/openapi/", StringComparison.Ordinal) || route.method == "GET"),
    ];

    /// <summary>The address of a route with each parameter filled in.</summary>
    public static string Fill(RouteEndpoint endpoint, Func<string, string> value) => "/" + string.Join('/', endpoint.RoutePattern.PathSegments.Select(segment =>
        string.Concat(segment.Parts.Select(part => part switch
        {
            Microsoft.AspNetCore.Routing.Patterns.RoutePatternParameterPart parameter => value(parameter.Name),
            Microsoft.AspNetCore.Routing.Patterns.RoutePatternLiteralPart literal => literal.Content,
            Microsoft.AspNetCore.Routing.Patterns.RoutePatternSeparatorPart separator => separator.Content,
            _ => "",
        }))));
}
