using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;
using AgentFlow.ServiceDefaults.Idempotency;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace AgentFlow.MemoryService.Exchange;

internal static class ExchangeEndpoints
{
    /// <summary>About 100,000 memories with their past.</summary>
    private const long MaxImportBytes = 256L << 20;

    private const int BufferedBytes = 256 << 10;

    internal static void MapExchange(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api").WithTags("Exchange").ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapPost("/export", ExportAsync).RequireAuthorization(Policies.Read).WithName("ExportMemories").Produces<MemoryExport>()
            .WithSummary("Memories with ids, versions and history, of a subject or all");
        group.MapPost("/import", ImportAsync).RequireAuthorization(Policies.Write).WithIdempotency().WithMetadata(new RequestSizeLimitAttribute(MaxImportBytes)).WithName("ImportMemories").Accepts<MemoryExport>("application/json")
            .WithSummary("Takes in an export of this service or of Mem0");
    }

    private static async Task ExportAsync(MemoryScope subject, MemoryCaller caller, ExportReader reader, TimeProvider time, HttpContext context, CancellationToken ct)
    {
        var filter = FilterExpression.AllOf(caller.Condition(), SubjectFilter.Of(subject));
        context.Response.ContentType = "application/json; charset=utf-8";
        await using var writer = new Utf8JsonWriter(context.Response.BodyWriter, new JsonWriterOptions { Encoder = ContractJson.Options.Encoder });
        writer.WriteStartObject();
        writer.WriteString("format", MemoryExport.CurrentFormat);
        writer.WriteString("exportedAt", time.GetUtcNow());
        writer.WriteStartArray("memories");
        await foreach (var memory in reader.ReadAsync(caller.OwnerId, filter, ct))
        {
            JsonSerializer.Serialize(writer, memory, ContractJson.Options);
            await writer.FlushAsync(ct);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>The body is read twice, from a file where it is large: nothing is stored before all of it was found in order.</summary>
    /// <param name="userId">The user that the memories become about, whoever they were about.</param>
    private static async Task<Ok<ImportReport>> ImportAsync(HttpContext context, string? userId, MemoryCaller caller, MemoryImport import, CancellationToken ct)
    {
        context.Request.EnableBuffering(BufferedBytes, MaxImportBytes);
        return TypedResults.Ok(await import.RunAsync(caller, userId, context.Request.Body, ct));
    }
}
