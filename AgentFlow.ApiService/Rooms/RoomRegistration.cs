using AgentFlow.ApiService.Runs;
using AgentFlow.ApiService.Sockets;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Rooms;

/// <summary>What a room's socket needs of the service.</summary>
internal sealed class RoomServices(
    SocketServices sockets, RoomStore store, RoomFeed feed, RoomTalk talk, RoomSignals signals, LocalRuns local, IOptions<RoomOptions> options)
{
    public SocketServices Sockets => sockets;

    public RoomStore Store => store;

    public RoomFeed Feed => feed;

    public RoomTalk Talk => talk;

    public RoomSignals Signals => signals;

    public RoomOptions Options => options.Value;

    public RunHandle? Local(RunId run) => local.TryFind(run, out var handle) ? handle : null;
}

internal static class RoomRegistration
{
    public static IServiceCollection AddRooms(this IServiceCollection services)
    {
        services.AddValidatedOptions<RoomOptions>(RoomOptions.Section);
        services.AddTaskHandler<EraseRoomTask>();
        return services.AddSingleton<RoomSignals>().AddSingleton<RoomStore>().AddSingleton<RoomFeed>().AddSingleton<RoomTalk>()
            .AddSingleton<RoomDocuments>().AddSingleton<RoomDeletion>().AddSingleton<RoomErasure>().AddSingleton<RoomServices>();
    }
}
