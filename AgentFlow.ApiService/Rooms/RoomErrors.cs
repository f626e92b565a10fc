using AgentFlow.Contracts.Rooms;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Rooms;

internal static class RoomErrors
{
    /// <summary>Also for a room that is there and not the caller's.</summary>
    public static ProblemException NotFound() => new(StatusCodes.Status404NotFound, "not_found", "There is no such room.");

    public static ProblemException MemberNotFound() => new(StatusCodes.Status404NotFound, "not_found", "There is no such account or member.");

    public static ProblemException Role(RoomRole least) =>
        new(StatusCodes.Status403Forbidden, "room_role", least == RoomRole.Owner ? "Only owners of the room may do that." : "Viewers of the room only read along.");

    public static ProblemException LastOwner() => new(
        StatusCodes.Status409Conflict, "last_owner", "This is the room's last owner. Make somebody else an owner first, or delete the room.");

    public static ProblemException TooManyMembers(int limit) => new(StatusCodes.Status409Conflict, "too_many_members", $"A room has at most {limit} members.");

    public static ProblemException TooManyRooms(int limit) => new(StatusCodes.Status409Conflict, "too_many_rooms", $"An account is in at most {limit} rooms.");
}
