using System.Buffers;
using System.Text.Json;

namespace AgentFlow.Retrieval.Index.Qdrant;

/// <summary>
/// Vectors as JSON, in as few digits as their comparison can tell apart: writing and reading the shortest exact form of each component was
/// most of what a point cost on either side. Pure.
/// </summary>
internal static class VectorJson
{
    /// <summary>Seven digits after the point: components of a normalized vector are at most 1, where a 32-bit float has no more either.</summary>
    private const int Digits = 7;

    private const int Scale = 10_000_000;

    /// <summary>Sign, one digit, point, digits and comma.</summary>
    private const int MaxLength = Digits + 4;

    /// <summary>Writes the vector as one array.</summary>
    public static void Write(Utf8JsonWriter writer, ReadOnlySpan<float> vector)
    {
        var buffer = ArrayPool<byte>.Shared.Rent((vector.Length * MaxLength) + 2);
        try
        {
            var length = 0;
            buffer[length++] = (byte)'[';
            foreach (var value in vector)
            {
                if (length > 1)
                    buffer[length++] = (byte)',';
                if (!(Math.Abs(value) < 10))
                {
                    // No embedder that normalizes makes such a component.
                    WriteWhole(writer, vector);
                    return;
                }

                length += Format(buffer.AsSpan(length), value);
            }

            buffer[length++] = (byte)']';
            writer.WriteRawValue(buffer.AsSpan(0, length), skipInputValidation: true);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static void WriteWhole(Utf8JsonWriter writer, ReadOnlySpan<float> vector)
    {
        writer.WriteStartArray();
        foreach (var value in vector)
            writer.WriteNumberValue(value);
        writer.WriteEndArray();
    }

    /// <summary>Without zeros at the end.</summary>
    private static int Format(Span<byte> into, float value)
    {
        var scaled = (int)Math.Round((double)value * Scale);
        var length = 0;
        if (scaled < 0)
        {
            into[length++] = (byte)'-';
            scaled = -scaled;
        }

        into[length++] = (byte)('0' + (scaled / Scale));
        var rest = scaled % Scale;
        if (rest == 0)
            return length;
        into[length++] = (byte)'.';
        for (var unit = Scale / 10; rest > 0; unit /= 10)
        {
            into[length++] = (byte)('0' + (rest / unit));
            rest %= unit;
        }

        return length;
    }
}
