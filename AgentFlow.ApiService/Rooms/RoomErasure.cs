using AgentFlow.Contracts;
using AgentFlow.Contracts.Rooms;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Rooms;

/// <summary>
/// What an erased account leaves in rooms: its words without its name. A room of which it was the last owner goes to the member who has
/// been there longest, and is deleted when nobody is left. Repeatable.
/// </summary>
internal sealed class RoomErasure(Database database, RoomStore rooms, RoomDeletion deletion)
{
    private const string ForgetAuthor = "update messages set author = null, author_id = null where author_id = $1";

    public async Task LeaveAllAsync(OwnerId account, CancellationToken ct)
    {
        var joined = await database.ForOwner(account.Value).QueryAsync(
            "select room_id from room_members where member_id = $1", [account.Value], reader => new RoomId(reader.GetGuid(0)), ct);
        foreach (var id in joined)
        {
            if (await rooms.TryFindAsync(account, id, ct) is { } room)
                await LeaveAsync(room, account, ct);
        }
    }

    private async Task LeaveAsync(RoomAccess room, OwnerId account, CancellationToken ct)
    {
        var others = (await rooms.MembersAsync(room.Id, ct)).FindAll(member => member.UserId != account);
        if (others.Count == 0)
        {
            await deletion.DeleteAsync(room, ct);
            return;
        }

        if (room.Room.Role == RoomRole.Owner && others.TrueForAll(member => member.Role != RoomRole.Owner))
            await rooms.SetMemberAsync(room.Id, others[0].UserId, RoomRole.Owner, ct);
        await database.ForOwner(room.Id.Value).ExecuteAsync(ForgetAuthor, [account.Value], ct);
        await rooms.SetMemberAsync(room.Id, account, role: null, ct);
    }
}
