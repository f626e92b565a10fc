using AgentFlow.ApiService.Rooms;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Rooms;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.Tests.ApiService.Rooms;

public sealed class RoomMembershipTests
{
    private static readonly OwnerId Ada = OwnerId.New();
    private static readonly OwnerId Bob = OwnerId.New();
    private static readonly OwnerId Cleo = OwnerId.New();
    private static readonly Dictionary<OwnerId, RoomRole> Members = new() { [Ada] = RoomRole.Owner, [Bob] = RoomRole.Member };

    [Fact]
    public void Changes_are_told_from_repetitions()
    {
        Assert.True(RoomMembership.Changes(Members, Bob, RoomRole.Viewer, 10));
        Assert.True(RoomMembership.Changes(Members, Bob, null, 10));
        Assert.True(RoomMembership.Changes(Members, Cleo, RoomRole.Member, 3));
        Assert.False(RoomMembership.Changes(Members, Bob, RoomRole.Member, 10));
    }

    [Fact]
    public void The_last_owner_the_unknown_and_the_one_too_many_are_refused()
    {
        Assert.Equal("last_owner", Refusal(Ada, null));
        Assert.Equal("last_owner", Refusal(Ada, RoomRole.Member));
        Assert.Equal("not_found", Refusal(Cleo, null));
        Assert.Equal("too_many_members", Refusal(Cleo, RoomRole.Viewer));
    }

    private static string Refusal(OwnerId target, RoomRole? role) => Assert.Throws<ProblemException>(() => RoomMembership.Changes(Members, target, role, 2)).Code;
}
