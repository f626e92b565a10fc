using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.MemoryService.Memories;

/// <summary>Values of <c>memories.status</c>.</summary>
internal enum MemoryStatus : short
{
    Active = 0,
    Pending = 1,
    Rejected = 2,
    Deleted = 3,
}

/// <summary>The current version of a memory as Postgres holds it.</summary>
internal sealed record MemoryRow
{
    /// <summary>In the order that <see cref="Read"/> expects; the alias <c>m</c> is the table.</summary>
    internal const string Columns =
        """
        m.id, m.seq, m.user_id, m.agent_id, m.session_id, m.app_id, m.kind, m.text,
        nullif(m.metadata, '{}')::text, nullif(m.categories, '{}'), m.trust, m.source, m.role,
        m.actor, m.immutable, m.status, m.version, m.created_at, m.updated_at, m.observed_at, m.expires_at, m.valid_from, m.valid_to, m.superseded_by
        """;

    internal const int ColumnCount = 24;

    public required MemoryId Id { get; init; }

    public required long Sequence { get; init; }

    public required MemoryScope Scope { get; init; }

    public required MemoryKind Kind { get; init; }

    public required string Text { get; init; }

    /// <summary>An object, as JSON text.</summary>
    public required string Metadata { get; init; }

    public required string[] Categories { get; init; }

    public required MemoryTrust Trust { get; init; }

    public string? Source { get; init; }

    public string? Role { get; init; }

    public string? Actor { get; init; }

    public bool Immutable { get; init; }

    public required MemoryStatus Status { get; init; }

    public required int Version { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; init; }

    public DateTimeOffset? ObservedAt { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    public required DateTimeOffset ValidFrom { get; init; }

    public DateTimeOffset? ValidTo { get; init; }

    public MemoryId? SupersededBy { get; init; }

    internal static MemoryRow Read(NpgsqlDataReader reader) => new()
    {
        Id = new MemoryId(reader.GetGuid(0)),
        Sequence = reader.GetInt64(1),
        Scope = new MemoryScope
        {
            UserId = reader.NullableString(2), AgentId = reader.NullableString(3), SessionId = reader.NullableString(4), AppId = reader.NullableString(5),
        },
        Kind = (MemoryKind)reader.GetInt16(6),
        Text = reader.GetString(7),
        Metadata = reader.NullableString(8) ?? "{}",
        Categories = reader.IsDBNull(9) ? [] : reader.GetFieldValue<string[]>(9),
        Trust = (MemoryTrust)reader.GetInt16(10),
        Source = reader.NullableString(11),
        Role = reader.NullableString(12),
        Actor = reader.NullableString(13),
        Immutable = reader.GetBoolean(14),
        Status = (MemoryStatus)reader.GetInt16(15),
        Version = reader.GetInt32(16),
        CreatedAt = reader.Time(17),
        UpdatedAt = reader.Time(18),
        ObservedAt = reader.NullableTime(19),
        ExpiresAt = reader.NullableTime(20),
        ValidFrom = reader.Time(21),
        ValidTo = reader.NullableTime(22),
        SupersededBy = reader.NullableGuid(23) is { } by ? new MemoryId(by) : null,
    };

    /// <summary>Not deleted, rejected, pending or expired at the given moment; closed facts count.</summary>
    internal bool IsShownAt(DateTimeOffset moment) => Status == MemoryStatus.Active && (ExpiresAt is null || ExpiresAt > moment);

    /// <summary>True at the given moment: it began by then and was not closed yet.</summary>
    internal bool WasTrueAt(DateTimeOffset moment) => ValidFrom <= moment && (ValidTo is null || ValidTo > moment);

    internal MemoryItem ToItem() => new()
    {
        Id = Id,
        Text = Text,
        Kind = Kind,
        UserId = Scope.UserId,
        AgentId = Scope.AgentId,
        SessionId = Scope.SessionId,
        AppId = Scope.AppId,
        Metadata = Metadata == "{}" ? null : JsonElement.Parse(Metadata),
        Categories = Categories,
        Trust = Trust,
        Source = Source,
        Role = Role,
        Actor = Actor,
        Immutable = Immutable,
        Pending = Status == MemoryStatus.Pending ? true : null,
        Version = Version,
        CreatedAt = CreatedAt,
        UpdatedAt = UpdatedAt,
        ObservedAt = ObservedAt,
        ExpiresAt = ExpiresAt,
        ValidFrom = ValidFrom,
        ValidTo = ValidTo,
        SupersededBy = SupersededBy,
    };
}

/// <summary>A memory about to be stored; everything is decided, the store only writes it.</summary>
internal sealed record NewMemory
{
    public MemoryId Id { get; init; } = MemoryId.New();

    public required MemoryScope Scope { get; init; }

    public required MemoryKind Kind { get; init; }

    public required string Text { get; init; }

    public required byte[] ContentHash { get; init; }

    /// <summary>What it excludes, see <see cref="FactSlot"/>; null when nothing.</summary>
    public FactSlot? Slot { get; init; }

    /// <summary>Memories that a model found contradicted by this one.</summary>
    public IReadOnlyList<Guid> Contradicts { get; init; } = [];

    /// <summary>An object, as JSON text.</summary>
    public string Metadata { get; init; } = "{}";

    public string[] Categories { get; init; } = [];

    public required MemoryTrust Trust { get; init; }

    public string? Source { get; init; }

    public string? Role { get; init; }

    public string? Actor { get; init; }

    public bool Immutable { get; init; }

    public MemoryStatus Status { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? ObservedAt { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    public DateTimeOffset ValidFrom => ObservedAt ?? CreatedAt;

    public DateTimeOffset? ValidTo { get; init; }

    public Guid? SupersededBy { get; init; }

    /// <summary>Empty when the embedder did not answer; the index worker fills it in later.</summary>
    public ReadOnlyMemory<float> Vector { get; init; }

    /// <summary>Names that the text holds, for the graph and the entity signal.</summary>
    public IReadOnlyList<string> Entities { get; init; } = [];

    public IReadOnlyList<Ingestion.EntityRelation> Relations { get; init; } = [];
}

/// <param name="Sequence">Zero for a duplicate.</param>
internal sealed record StoredMemory(NewMemory Memory, MemoryId Id, long Sequence, MemoryChange Change, IReadOnlyList<MemoryId> Supersedes)
{
    /// <summary>The row as it was stored, version 1; only of what was added.</summary>
    internal MemoryRow ToRow() => new()
    {
        Id = Id,
        Sequence = Sequence,
        Scope = Memory.Scope,
        Kind = Memory.Kind,
        Text = Memory.Text,
        Metadata = Memory.Metadata,
        Categories = Memory.Categories,
        Trust = Memory.Trust,
        Source = Memory.Source,
        Role = Memory.Role,
        Actor = Memory.Actor,
        Immutable = Memory.Immutable,
        Status = Memory.Status,
        Version = 1,
        CreatedAt = Memory.CreatedAt,
        UpdatedAt = Memory.CreatedAt,
        ObservedAt = Memory.ObservedAt,
        ExpiresAt = Memory.ExpiresAt,
        ValidFrom = Memory.ValidFrom,
        ValidTo = Memory.ValidTo,
        SupersededBy = Memory.SupersededBy is { } by ? new MemoryId(by) : null,
    };
}
