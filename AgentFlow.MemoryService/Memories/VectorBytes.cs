using System.Runtime.InteropServices;

namespace AgentFlow.MemoryService.Memories;

/// <summary>Vectors as little-endian 32-bit floats, as the tables keep them.</summary>
internal static class VectorBytes
{
    internal static byte[]? From(ReadOnlyMemory<float> vector) => vector.IsEmpty ? null : MemoryMarshal.AsBytes(vector.Span).ToArray();
}
