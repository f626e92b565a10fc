using AgentFlow.Contracts;
using AgentFlow.Contracts.Rooms;

namespace AgentFlow.ApiService.Rooms;

/// <summary>A room as one of its members reaches it. Everything inside is read and written as <see cref="Owner"/>, never as the caller.</summary>
/// <param name="AgentOwner">Whose agents the room may use.</param>
/// <param name="DisplayName">The caller's, as messages are signed with.</param>
internal sealed record RoomAccess(Room Room, ConversationId Conversation, OwnerId AgentOwner, string DisplayName)
{
    public RoomId Id => Room.Id;

    public OwnerId Owner => new(Room.Id.Value);

    /// <exception cref="ServiceDefaults.Problems.ProblemException">403: the caller's role is less.</exception>
    public RoomAccess Require(RoomRole least) => Room.Role >= least ? this : throw RoomErrors.Role(least);
}

/// <summary>Who is in a room, and which change is allowed. Pure.</summary>
internal static class RoomMembership
{
    /// <param name="members">As they are.</param>
    /// <param name="target">Whose role changes.</param>
    /// <param name="role">The new one; null: leaves or is removed.</param>
    /// <param name="maxMembers">Of one room.</param>
    /// <returns>False when nothing would change.</returns>
    /// <exception cref="ServiceDefaults.Problems.ProblemException">The last owner would be gone, there is no such member, or the room is full.</exception>
    public static bool Changes(IReadOnlyDictionary<OwnerId, RoomRole> members, OwnerId target, RoomRole? role, int maxMembers)
    {
        var isMember = members.TryGetValue(target, out var now);
        if (role is null && !isMember)
            throw RoomErrors.MemberNotFound();
        if (isMember && now == role)
            return false;
        if (isMember && now == RoomRole.Owner && members.Values.Count(each => each == RoomRole.Owner) == 1)
            throw RoomErrors.LastOwner();
        return isMember || members.Count < maxMembers ? true : throw RoomErrors.TooManyMembers(maxMembers);
    }
}
