namespace AgentFlow.Contracts.Rooms;

/// <summary>What somebody may do in a room; each role may do what the one before it may.</summary>
public enum RoomRole
{
    /// <summary>Reads along.</summary>
    Viewer,

    /// <summary>Writes, asks the agent, stops answers and decides its tool calls.</summary>
    Member,

    /// <summary>Invites and removes, renames, chooses the agent, deletes the room.</summary>
    Owner,
}

/// <summary>A conversation of several people and one agent, as one of its members sees it.</summary>
public sealed record Room
{
    public required RoomId Id { get; init; }

    public required string Name { get; init; }

    /// <summary>Slug of the agent that answers.</summary>
    public required string Agent { get; init; }

    /// <summary>The caller's.</summary>
    public required RoomRole Role { get; init; }

    /// <summary>How many members it has.</summary>
    public required int Members { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Of the newest message, or of the room's making.</summary>
    public required DateTimeOffset UpdatedAt { get; init; }
}

/// <param name="Name">1 to 100 characters.</param>
/// <param name="Agent">Slug of an agent of the caller or the installation; absent: the caller's default.</param>
public sealed record CreateRoomRequest(string Name, string? Agent = null);

/// <summary>What is left out stays as it is.</summary>
public sealed record PatchRoomRequest
{
    public string? Name { get; init; }

    public string? Agent { get; init; }
}

/// <param name="IsOnline">Has the room open at this moment.</param>
public sealed record RoomMember(OwnerId UserId, string DisplayName, RoomRole Role, DateTimeOffset AddedAt, bool IsOnline);

/// <summary>Invites an account, or gives a member another role. Exactly one of <see cref="UserId"/> and <see cref="Email"/>.</summary>
public sealed record RoomMemberRequest
{
    public OwnerId? UserId { get; init; }

    public string? Email { get; init; }

    public RoomRole Role { get; init; } = RoomRole.Member;
}
