using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text.Json;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Exchange;

/// <summary>One value of a JSON text: a member of the root that is no list, or one entry of a list.</summary>
/// <param name="Name">The member; empty for the entries of a root that is a list.</param>
/// <param name="Kind">Of the member's value: for an entry of a list, Array.</param>
/// <param name="Value">Null where a list begins.</param>
internal readonly record struct JsonEntry(string Name, JsonValueKind Kind, JsonElement? Value);

/// <summary>
/// Reads a JSON text of any length entry by entry: of a root that is a list, its entries; of one that is an object, its members, and of members that are
/// lists their entries. No more than one of them is in memory.
/// </summary>
internal static class JsonEntries
{
    /// <summary>More than a memory with a long past has; nothing that is larger is looked at.</summary>
    internal const int MaxEntryBytes = 16 << 20;

    /// <summary>Half characters and U+0000 can not be kept, whatever member they are in.</summary>
    private static readonly JsonSerializerOptions Storable = new() { Converters = { new StorableElementConverter() } };

    private enum Place
    {
        Start,
        Members,
        List,
        End,
    }

    /// <exception cref="JsonException">It is no JSON, neither object nor list, or text that can not be kept.</exception>
    /// <exception cref="ProblemException">413: one entry has more than <see cref="MaxEntryBytes"/>.</exception>
    internal static async IAsyncEnumerable<JsonEntry> ReadAsync(Stream json, [EnumeratorCancellation] CancellationToken ct)
    {
        var pipe = PipeReader.Create(json, new StreamPipeReaderOptions(bufferSize: 64 << 10, leaveOpen: true));
        var position = new Position();
        try
        {
            var wanted = 1;
            while (true)
            {
                var read = await pipe.ReadAtLeastAsync(wanted, ct);
                var rest = read.Buffer;
                var before = rest.Length;
                while (position.TryTake(ref rest, read.IsCompleted) is { } entry)
                {
                    Check(before - rest.Length);
                    before = rest.Length;
                    yield return entry;
                }

                Check(rest.Length);
                pipe.AdvanceTo(rest.Start, rest.End);
                if (read.IsCompleted)
                    break;

                // What was no whole entry is looked at again when there is twice as much of it.
                wanted = (int)Math.Clamp(2 * rest.Length, 1, MaxEntryBytes + 1);
            }
        }
        finally
        {
            await pipe.CompleteAsync();
        }
    }

    private static void Check(long bytes)
    {
        if (bytes > MaxEntryBytes)
            throw new ProblemException(StatusCodes.Status413PayloadTooLarge, "too_large", $"One entry has more than {MaxEntryBytes >> 20} MB; an import takes memories of at most that each.");
    }

    private sealed class Position
    {
        private JsonReaderState _state;
        private Place _place;
        private bool _isInObject;
        private string _name = string.Empty;

        /// <returns>Null when the rest of the buffer holds no whole entry; at the end of the text, when there is none.</returns>
        public JsonEntry? TryTake(ref ReadOnlySequence<byte> rest, bool isCompleted)
        {
            while (true)
            {
                var reader = new Utf8JsonReader(rest, isCompleted, _state);
                if (!reader.Read())
                    return null;
                JsonEntry? entry = null;
                switch (_place)
                {
                    case Place.Start:
                        _isInObject = reader.TokenType == JsonTokenType.StartObject;
                        _place = _isInObject ? Place.Members
                            : reader.TokenType == JsonTokenType.StartArray ? Place.List
                            : throw new JsonException("An object or a list is expected.");
                        break;
                    case Place.Members when reader.TokenType == JsonTokenType.EndObject:
                        _place = Place.End;
                        break;
                    case Place.Members when !TryMember(ref reader, out entry):
                        return null;
                    case Place.List when reader.TokenType == JsonTokenType.EndArray:
                        _place = _isInObject ? Place.Members : Place.End;
                        break;
                    case Place.List when !TryValue(ref reader, JsonValueKind.Array, out entry):
                        return null;
                }

                _state = reader.CurrentState;
                rest = rest.Slice(reader.Position);
                if (entry is not null)
                    return entry;
            }
        }

        private bool TryMember(ref Utf8JsonReader reader, out JsonEntry? entry)
        {
            entry = null;
            var name = NameOf(ref reader);
            if (!reader.Read())
                return false;
            if (reader.TokenType != JsonTokenType.StartArray)
            {
                if (!TryValue(ref reader, JsonValueKind.Undefined, out entry))
                    return false;
                entry = new JsonEntry(name, entry!.Value.Kind, entry.Value.Value);
                return true;
            }

            (_name, _place) = (name, Place.List);
            entry = new JsonEntry(name, JsonValueKind.Array, null);
            return true;
        }

        private static string NameOf(ref Utf8JsonReader reader)
        {
            try
            {
                return reader.GetString()!;
            }
            catch (InvalidOperationException noText)
            {
                throw new JsonException("A member's name is not valid text.", noText);
            }
        }

        private bool TryValue(ref Utf8JsonReader reader, JsonValueKind kind, out JsonEntry? entry)
        {
            entry = null;
            var ahead = reader;
            if (!ahead.TrySkip())
                return false;
            var value = JsonSerializer.Deserialize<JsonElement>(ref reader, Storable);
            entry = new JsonEntry(_name, kind == JsonValueKind.Undefined ? value.ValueKind : kind, value);
            return true;
        }
    }
}
