using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>Reading columns that may be null, and JSON columns.</summary>
public static class Rows
{
    public static string? NullableString(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.GetString(ordinal);

    /// <summary>A bytea of little-endian 32-bit floats, without a copy of its bytes: an index that is loaded reads thousands. Empty where there is none.</summary>
    /// <param name="makeRoom">Gives an array of at least so many floats; absent: a new one.</param>
    public static ReadOnlyMemory<float> NullableFloats(this NpgsqlDataReader reader, int ordinal, Func<int, float[]>? makeRoom = null)
    {
        if (reader.IsDBNull(ordinal))
            return default;
        var length = (int)reader.GetBytes(ordinal, 0, null, 0, 0);
        var bytes = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            reader.GetBytes(ordinal, 0, bytes, 0, length);
            var read = MemoryMarshal.Cast<byte, float>(bytes.AsSpan(0, length));
            if (makeRoom is null)
                return read.ToArray();
            var room = makeRoom(read.Length);
            read.CopyTo(room);
            return room.AsMemory(0, read.Length);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    public static Guid? NullableGuid(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.GetGuid(ordinal);

    public static int? NullableInt32(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.GetInt32(ordinal);

    public static long? NullableInt64(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.GetInt64(ordinal);

    /// <summary>A <c>timestamptz</c>, in UTC.</summary>
    public static DateTimeOffset Time(this NpgsqlDataReader reader, int ordinal) => new(reader.GetDateTime(ordinal), TimeSpan.Zero);

    public static DateTimeOffset? NullableTime(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.Time(ordinal);

    /// <summary>A <c>jsonb</c> column as a value of its own.</summary>
    public static JsonElement Json(this NpgsqlDataReader reader, int ordinal) => JsonElement.Parse(reader.GetString(ordinal));

    public static JsonElement? NullableJson(this NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.Json(ordinal);

    internal static async Task<List<T>> ReadAllAsync<T>(NpgsqlDataReader reader, Func<NpgsqlDataReader, T> read, CancellationToken ct)
    {
        var rows = new List<T>();
        while (await reader.ReadAsync(ct))
        {
            rows.Add(read(reader));
        }

        return rows;
    }
}
