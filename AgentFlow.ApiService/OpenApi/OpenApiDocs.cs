using System.Text.Json;
using AgentFlow.ApiService.Edges;
using AgentFlow.ApiService.Identity;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.Extensions.Options;
using Microsoft.OpenApi;

namespace AgentFlow.ApiService.OpenApi;

/// <summary>Section <c>OpenApi</c>.</summary>
internal sealed class OpenApiPageOptions
{
    public const string Section = "OpenApi";

    /// <summary>Whether <c>/openapi/v1.json</c> and <c>/docs</c> are served. Default: in development only.</summary>
    public bool? Enabled { get; set; }
}

/// <summary><c>/openapi/v1.json</c> and a page to browse it at <c>/docs</c>: in development, elsewhere with <c>OpenApi:Enabled</c>.</summary>
internal static class OpenApiDocs
{
    /// <summary>The page's own scripts and styles, nothing else; it styles itself inline.</summary>
    private const string DocsPolicy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'";

    private const string Bearer = "bearer";
    private const string ApiKey = "apiKey";

    public static WebApplicationBuilder AddOpenApiDocs(this WebApplicationBuilder builder)
    {
        builder.Services.AddValidatedOptions<OpenApiPageOptions>(OpenApiPageOptions.Section);
        builder.Services.AddOpenApi("v1", options =>
        {
            options.AddDocumentTransformer(DescribeDocument);
            options.AddOperationTransformer(DescribeOperation);
            options.AddSchemaTransformer(DescribeSchema);
        });
        return builder;
    }

    public static WebApplication MapOpenApiDocs(this WebApplication app)
    {
        if (app.Services.GetRequiredService<IOptions<OpenApiPageOptions>>().Value.Enabled ?? app.Environment.IsDevelopment())
        {
            app.MapOpenApi().RequireAuthorization(Policies.Anonymous).ExcludeFromDescription();
            app.UseWhen(static context => context.Request.Path.StartsWithSegments("/docs"), docs => docs.Use(static (context, next) =>
            {
                context.Response.Headers.ContentSecurityPolicy = DocsPolicy;
                return next(context);
            }));
            app.UseSwaggerUI(page =>
            {
                page.RoutePrefix = "docs";
                page.DocumentTitle = "AgentFlow API";
                page.SwaggerEndpoint("/openapi/v1.json", "AgentFlow");
            });
        }

        return app;
    }

    private static Task DescribeDocument(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken ct)
    {
        document.Info = new OpenApiInfo
        {
            Title = "AgentFlow",
            Version = "v1",
            Description = "Chat with agents over your documents and memories. Errors are problem details (RFC 9457) with a stable `code` and a `traceId`.",
        };
        document.Components ??= new OpenApiComponents();
        document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>(StringComparer.Ordinal)
        {
            [Bearer] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer", Description = "An access token, or an API key (af_...)." },
            [ApiKey] = new OpenApiSecurityScheme { Type = SecuritySchemeType.ApiKey, In = ParameterLocation.Header, Name = "X-API-Key", Description = "An API key (af_...)." },
        };
        return Task.CompletedTask;
    }

    private static Task DescribeOperation(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken ct)
    {
        var policy = context.Description.ActionDescriptor.EndpointMetadata.OfType<IAuthorizeData>().LastOrDefault()?.Policy;
        operation.Responses ??= new OpenApiResponses();
        if (policy is not null and not Policies.Anonymous)
        {
            operation.Security =
            [
                new() { [new OpenApiSecuritySchemeReference(Bearer, context.Document)] = [] },
                new() { [new OpenApiSecuritySchemeReference(ApiKey, context.Document)] = [] },
            ];
            operation.Responses.TryAdd("401", Refusal("Nobody is signed in, or the token or key is not valid any more"));
            operation.Responses.TryAdd("403", Refusal($"The caller may not do that; the policy is '{policy}'"));
        }

        if (context.Description.ActionDescriptor.EndpointMetadata.OfType<IdempotentRoute>().Any())
            DescribeIdempotency(operation);
        operation.Responses.TryAdd("400", Refusal("The request can not be read or is out of range"));
        operation.Responses.TryAdd("429", Refusal("Too many requests; see Retry-After"));
        if (operation.RequestBody?.Content is { } contents && contents.TryGetValue("application/json", out var body) && Examples.ForOperation(operation.OperationId) is { } example)
        {
            body.Example = example;
        }

        return Task.CompletedTask;
    }

    private static void DescribeIdempotency(OpenApiOperation operation)
    {
        operation.Parameters ??= [];
        operation.Parameters.Add(new OpenApiParameter
        {
            Name = IdempotencyKey.Header,
            In = ParameterLocation.Header,
            Description = "1 to 255 visible ASCII characters. The same request with the same key is carried out once; its answer is given again.",
            Schema = new OpenApiSchema { Type = JsonSchemaType.String, MinLength = 1, MaxLength = IdempotencyKey.MaxLength },
            Example = "7b0c2f",
        });
        operation.Responses!.TryAdd("409", Refusal("The first request with this Idempotency-Key is still under way, or its answer showed a secret once"));
        operation.Responses.TryAdd("422", Refusal("This Idempotency-Key was used for another request"));
    }

    /// <summary>Typed ids and texts have converters of their own, which the exporter can not look into.</summary>
    private static Task DescribeSchema(OpenApiSchema schema, OpenApiSchemaTransformerContext context, CancellationToken ct)
    {
        var type = Nullable.GetUnderlyingType(context.JsonTypeInfo.Type) ?? context.JsonTypeInfo.Type;
        if (type.GetInterfaces().Any(face => face.IsGenericType && face.GetGenericTypeDefinition() == typeof(ITypedId<>)))
        {
            schema.Type = JsonSchemaType.String;
            schema.Format = "uuid";
            schema.Title = type.Name;
        }
        else if (type == typeof(string))
        {
            schema.Type ??= JsonSchemaType.String;
        }
        else if (type == typeof(JsonElement))
        {
            schema.Description ??= "Any JSON.";
        }

        return Task.CompletedTask;
    }

    private static OpenApiResponse Refusal(string why) => new()
    {
        Description = why,
        Content = new Dictionary<string, OpenApiMediaType>(StringComparer.Ordinal)
        {
            ["application/problem+json"] = new() { Schema = new OpenApiSchema { Type = JsonSchemaType.Object } },
        },
    };
}
