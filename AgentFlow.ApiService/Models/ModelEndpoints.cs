using AgentFlow.ApiService.Identity;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.ApiService.Models;

internal static class ModelEndpoints
{
    public static void MapModels(this IEndpointRouteBuilder routes) => routes.MapGet("/api/models", List)
        .RequireAuthorization(Policies.User)
        .WithTags("Models")
        .WithName("ListModels")
        .WithSummary("Lists the models that can be asked for, the default first, and says whether one is the built-in offline model.");

    private static Ok<ModelsResponse> List(ModelCatalog models) => TypedResults.Ok(new ModelsResponse(models.Models, models.Models[0].Id));
}
