using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// Server-sent events, as bytes:
/// <code>
/// id: 0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d.7
/// event: message.delta
/// data: {"type":"message.delta","text":"Hello","runId":"0199c1e2-...","seq":7,"at":"2026-11-20T10:00:00Z"}
/// </code>
/// </summary>
internal static class SseFrames
{
    /// <summary>A comment: readers ignore it, proxies see life.</summary>
    public static void WriteKeepAlive(PipeWriter output) => output.Write(": keep-alive\n\n"u8);

    /// <summary>No event of the log, so it has no id.</summary>
    public static void WriteResume(PipeWriter output, ResumeFrame resume)
    {
        output.Write("event: stream.resume\ndata: "u8);
        output.Write(JsonSerializer.SerializeToUtf8Bytes<ServerFrame>(resume, ContractJson.Options));
        output.Write("\n\n"u8);
    }

    public static void Write(PipeWriter output, RunId run, StoredEvent evt)
    {
        // 36 characters of id, 20 of number, the names of the three fields and their line ends.
        const int overhead = 96;
        var span = output.GetSpan(overhead + evt.Type.Length + evt.Data.Length);
        var length = Copy("id: "u8, span);
        run.Value.TryFormat(span[length..], out var written);
        length += written;
        span[length++] = (byte)'.';
        evt.Seq.TryFormat(span[length..], out written);
        length += written;
        length += Copy("\nevent: "u8, span[length..]);
        length += Encoding.ASCII.GetBytes(evt.Type, span[length..]);
        length += Copy("\ndata: "u8, span[length..]);
        length += Copy(evt.Data.Span, span[length..]);
        length += Copy("\n\n"u8, span[length..]);
        output.Advance(length);
    }

    private static int Copy(ReadOnlySpan<byte> source, Span<byte> target)
    {
        source.CopyTo(target);
        return source.Length;
    }
}
