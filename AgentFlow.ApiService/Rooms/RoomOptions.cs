using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ApiService.Rooms;

/// <summary>Rooms. Section <c>Rooms</c>.</summary>
internal sealed class RoomOptions
{
    public const string Section = "Rooms";

    /// <summary>Accounts in one room, 2 to 1,000. Default 100.</summary>
    [Range(2, 1_000)]
    public int MaxMembers { get; set; } = 100;

    /// <summary>Rooms that one account may be in, 1 to 10,000. Default 500.</summary>
    [Range(1, 10_000)]
    public int MaxRooms { get; set; } = 500;

    /// <summary>A socket looks for news this often where no notification came, 0.1 s to 30 s. Default 3 s: a removed member is out within 5 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:00:30")]
    public TimeSpan Look { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Who was not seen for this long has left, 1 s to 5 min. Default 15 s: five looks.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:05:00")]
    public TimeSpan PresenceLife { get; set; } = TimeSpan.FromSeconds(15);
}
