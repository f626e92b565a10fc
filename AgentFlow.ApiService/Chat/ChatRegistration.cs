namespace AgentFlow.ApiService.Chat;

internal static class ChatRegistration
{
    public static IServiceCollection AddChat(this IServiceCollection services) => services.AddSingleton<Conversations>().AddSingleton<Answers>();

    public static void MapChat(this IEndpointRouteBuilder routes)
    {
        ChatEndpoints.Map(routes);
        ConversationEndpoints.Map(routes);
        Runs.RunEndpoints.Map(routes);
    }
}
