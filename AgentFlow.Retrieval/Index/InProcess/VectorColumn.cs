using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace AgentFlow.Retrieval.Index.InProcess;

/// <summary>
/// Vectors in append-only segments: 64 rows, then twice as many, up to 8,192 each, so that small owners stay small and nothing is copied.
/// Full-size segments also keep each vector as signed bytes with its own scale, for a scan that reads a quarter of the memory; the scan
/// bounds its own error, so that what it selects is exact after re-scoring. One writer; readers see rows that were published to them.
/// </summary>
internal sealed class VectorColumn(int dimensions)
{
    private const int FirstCapacity = 64;
    private const int Doublings = 7;
    private const int FullCapacity = FirstCapacity << Doublings;
    private const int FullFrom = FullCapacity - FirstCapacity;

    private Segment[] _segments = [];

    public int Dimensions => dimensions;

    public long Bytes
    {
        get
        {
            var bytes = 0L;
            foreach (var segment in _segments)
                bytes += (segment.Floats.LongLength * 4) + (segment.Codes?.LongLength ?? 0);
            return bytes;
        }
    }

    /// <summary>Writes a row; rows come in order without gaps.</summary>
    public void Append(int row, ReadOnlySpan<float> vector)
    {
        var (index, offset) = Locate(row);
        if (index == _segments.Length)
            _segments = [.. _segments, new Segment(dimensions, Math.Min(FirstCapacity << Math.Min(index, Doublings), FullCapacity))];
        _segments[index].Write(offset, vector, dimensions);
    }

    public ReadOnlySpan<float> Read(int row)
    {
        var (index, offset) = Locate(row);
        return _segments[index].Floats.AsSpan(offset * dimensions, dimensions);
    }

    public float Dot(int row, ReadOnlySpan<float> query) => TensorPrimitives.Dot(Read(row), query);

    /// <summary>
    /// Upper and lower bounds of the similarity for rows from <see cref="FullFrom"/> on, exact values (bounds equal) before.
    /// </summary>
    /// <param name="scores">Gets the middle of the bounds for each row.</param>
    /// <param name="errors">Gets half their distance.</param>
    public void Estimate(QuantizedVector query, int rows, Span<float> scores, Span<float> errors)
    {
        var row = 0;
        foreach (var segment in _segments)
        {
            var count = Math.Min(rows - row, segment.Rows);
            if (count <= 0)
                return;
            if (segment.Codes is null)
            {
                for (var i = 0; i < count; i++)
                    scores[row + i] = TensorPrimitives.Dot(segment.Floats.AsSpan(i * dimensions, dimensions), query.Floats.Span);
                errors.Slice(row, count).Clear();
            }
            else
            {
                segment.Estimate(query, count, dimensions, scores[row..], errors[row..]);
            }

            row += count;
        }
    }

    private static (int Segment, int Offset) Locate(int row)
    {
        if (row >= FullFrom)
            return (Doublings + ((row - FullFrom) / FullCapacity), (row - FullFrom) % FullCapacity);
        var index = System.Numerics.BitOperations.Log2((uint)((row / FirstCapacity) + 1));
        return (index, row - (FirstCapacity * ((1 << index) - 1)));
    }

    private sealed class Segment
    {
        private readonly float[]? _scales;
        private readonly float[]? _residuals;

        public Segment(int dimensions, int rows)
        {
            Rows = rows;
            Floats = GC.AllocateUninitializedArray<float>(rows * dimensions);
            if (rows < FullCapacity)
                return;
            Codes = GC.AllocateUninitializedArray<sbyte>(rows * dimensions);
            _scales = new float[rows];
            _residuals = new float[rows];
        }

        public int Rows { get; }

        public float[] Floats { get; }

        public sbyte[]? Codes { get; }

        public void Write(int offset, ReadOnlySpan<float> vector, int dimensions)
        {
            var row = Floats.AsSpan(offset * dimensions, dimensions);
            if (vector.IsEmpty)
                row.Clear();
            else
                vector.CopyTo(row);
            if (Codes is not null)
                (_scales![offset], _residuals![offset]) = QuantizedVector.Quantize(row, Codes.AsSpan(offset * dimensions, dimensions));
        }

        public void Estimate(QuantizedVector query, int count, int dimensions, Span<float> scores, Span<float> errors)
        {
            ref var codes = ref MemoryMarshal.GetArrayDataReference(Codes!);
            var queryCodes = query.Codes.Span;
            for (var i = 0; i < count; i++)
            {
                var scale = _scales![i];
                var dot = QuantizedVector.Dot(MemoryMarshal.CreateReadOnlySpan(ref System.Runtime.CompilerServices.Unsafe.Add(ref codes, i * dimensions), dimensions), queryCodes);
                scores[i] = dot * scale * query.Scale;

                // |q.x - q'.x'| <= |q||x - x'| + |q - q'||x'|, and |x'| <= |x| + |x - x'|; vectors have length 1 at most.
                errors[i] = (query.Norm * _residuals![i]) + (query.Residual * (1 + _residuals[i]));
            }
        }
    }
}

/// <summary>A query as signed bytes, with what rounding took away.</summary>
internal sealed class QuantizedVector
{
    private QuantizedVector(ReadOnlyMemory<float> floats, sbyte[] codes, float scale, float residual)
    {
        Floats = floats;
        Codes = Array.ConvertAll(codes, static code => (short)code);
        Scale = scale;
        Residual = residual;
        Norm = TensorPrimitives.Norm(floats.Span);
    }

    public ReadOnlyMemory<float> Floats { get; }

    public ReadOnlyMemory<short> Codes { get; }

    public float Scale { get; }

    /// <summary>Length of the difference between the vector and its coded form, rounded up.</summary>
    public float Residual { get; }

    public float Norm { get; }

    public static QuantizedVector From(ReadOnlyMemory<float> vector)
    {
        var codes = new sbyte[vector.Length];
        var (scale, residual) = Quantize(vector.Span, codes);
        return new QuantizedVector(vector, codes, scale, residual);
    }

    public static (float Scale, float Residual) Quantize(ReadOnlySpan<float> vector, Span<sbyte> codes)
    {
        var max = MathF.Abs(TensorPrimitives.MaxMagnitude(vector));
        if (max == 0)
        {
            codes.Clear();
            return (0, 0);
        }

        var scale = max / 127;
        var squares = 0f;
        for (var i = 0; i < vector.Length; i++)
        {
            var code = MathF.Round(vector[i] / scale);
            codes[i] = (sbyte)code;
            var rest = vector[i] - (code * scale);
            squares += rest * rest;
        }

        return (scale, (MathF.Sqrt(squares) * 1.001f) + 1e-6f);
    }

    /// <summary>The dot product of a row of signed bytes with a query, which is widened once and for all; exact.</summary>
    public static int Dot(ReadOnlySpan<sbyte> row, ReadOnlySpan<short> query)
    {
        var (sum, i) = (0, 0);
        ref var bytes = ref MemoryMarshal.GetReference(row);
        ref var words = ref MemoryMarshal.GetReference(query);
        if (Avx512BW.IsSupported && row.Length >= 64)
        {
            var (first, second) = (Vector512<int>.Zero, Vector512<int>.Zero);
            for (; i + 64 <= row.Length; i += 64)
            {
                first += Avx512BW.MultiplyAddAdjacent(Avx512BW.ConvertToVector512Int16(Vector256.LoadUnsafe(ref bytes, (nuint)i)), Vector512.LoadUnsafe(ref words, (nuint)i));
                second += Avx512BW.MultiplyAddAdjacent(Avx512BW.ConvertToVector512Int16(Vector256.LoadUnsafe(ref bytes, (nuint)i + 32)), Vector512.LoadUnsafe(ref words, (nuint)i + 32));
            }

            sum = Vector512.Sum(first + second);
        }
        else if (Avx2.IsSupported && row.Length >= 32)
        {
            var (first, second) = (Vector256<int>.Zero, Vector256<int>.Zero);
            for (; i + 32 <= row.Length; i += 32)
            {
                first += Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16(Vector128.LoadUnsafe(ref bytes, (nuint)i)), Vector256.LoadUnsafe(ref words, (nuint)i));
                second += Avx2.MultiplyAddAdjacent(Avx2.ConvertToVector256Int16(Vector128.LoadUnsafe(ref bytes, (nuint)i + 16)), Vector256.LoadUnsafe(ref words, (nuint)i + 16));
            }

            sum = Vector256.Sum(first + second);
        }

        for (; i < row.Length; i++)
            sum += row[i] * query[i];
        return sum;
    }
}
