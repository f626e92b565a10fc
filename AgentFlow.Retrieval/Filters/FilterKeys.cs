using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace AgentFlow.Retrieval.Filters;

/// <summary>
/// What a store that only knows flat keys keeps of a record, so that every filter has an exact form there. Equality and existence are
/// tokens in one list; numbers, instants and texts are lists under a key made of the path. Names and values of users never become keys or
/// query syntax. Pure.
/// </summary>
internal static class FilterKeys
{
    /// <summary>The list of tokens.</summary>
    public const string Tokens = "t";

    /// <summary>The members of a payload for the record's fields. Hashing them is most of the work: records with the same fields share the result.</summary>
    /// <param name="ownColumns">Columns whose values are kept apart from the list of tokens.</param>
    public static Flattened Flatten(IReadOnlyDictionary<string, JsonElement> fields, IReadOnlySet<string> ownColumns)
    {
        var flat = new Flattened(ownColumns);
        foreach (var (name, value) in fields)
        {
            if (name == FilterMatch.MetadataField)
                flat.AddMembers(value, []);
            else
                flat.Add(new FilterField(name, []), value);
        }

        return flat;
    }

    /// <summary>
    /// Where the tokens of a field's values are: in the list of all, or in one of its own, which has few where the list of all has dozens that
    /// a condition must go through.
    /// </summary>
    public static string EqualKey(FilterField field, IReadOnlySet<string> ownColumns) =>
        field.Column is { } column && field.Path.Count == 0 && ownColumns.Contains(column) ? Key(field, 'e') : Tokens;

    public static string Exists(FilterField field) => Token(field, 'x', string.Empty);

    public static string Equal(FilterField field, FilterValue value) => value.Value switch
    {
        string text => Token(field, 's', text),
        bool flag => Token(field, 'b', flag ? "1" : "0"),
        decimal number => Token(field, 'n', Canonical(number)),
        Guid id => Token(field, 'g', id.ToString("N")),
        DateTimeOffset instant => Token(field, 'i', instant.UtcTicks.ToString(CultureInfo.InvariantCulture)),
        _ => throw new NotSupportedException(value.Value.GetType().Name),
    };

    /// <param name="kind">n: numbers, i: instants, s: texts, l: texts with folded case, e: tokens of a column that has its own list.</param>
    public static string Key(FilterField field, char kind) => $"{kind}{Token(field, 'k', string.Empty)}";

    /// <summary>Microseconds since 1970, exact as a 64-bit float until the year 2255.</summary>
    public static double Micros(DateTimeOffset instant) => (instant.UtcTicks - DateTimeOffset.UnixEpoch.Ticks) / (double)TimeSpan.TicksPerMicrosecond;

    /// <summary>1.0 and 1 are one number.</summary>
    private static string Canonical(decimal number) => (number / 1.0000000000000000000000000000m).ToString(CultureInfo.InvariantCulture);

    private static string Token(FilterField field, char kind, string value)
    {
        var text = new StringBuilder().Append(kind).Append(field.Column is null ? 'm' : 'c');
        if (field.Column is not null)
            text.Append(field.Column.Length).Append(':').Append(field.Column);
        foreach (var key in field.Path)
            text.Append(key.Length).Append(':').Append(key);
        text.Append('=').Append(value);
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()), hash);
        return Convert.ToHexStringLower(hash[..12]);
    }

    /// <summary>Built once, then only written.</summary>
    internal sealed class Flattened(IReadOnlySet<string> ownColumns)
    {
        private readonly HashSet<string> _tokens = [];
        private readonly Dictionary<string, List<double>> _numbers = [];
        private readonly Dictionary<string, List<string>> _texts = [];

        internal void AddMembers(JsonElement value, IReadOnlyList<string> path)
        {
            if (value.ValueKind != JsonValueKind.Object)
                return;
            foreach (var member in value.EnumerateObject())
                Add(new FilterField(null, [.. path, member.Name]), member.Value);
        }

        internal void Add(FilterField field, JsonElement value)
        {
            if (value.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined)
                return;
            _tokens.Add(Exists(field));
            if (value.ValueKind == JsonValueKind.Object && field.Column is null)
                AddMembers(value, field.Path);
            else if (value.ValueKind != JsonValueKind.Array)
                AddScalar(field, value);
            else
            {
                foreach (var element in value.EnumerateArray())
                    AddScalar(field, element);
            }
        }

        public void Write(Utf8JsonWriter writer)
        {
            writer.WriteStartArray(Tokens);
            foreach (var token in _tokens)
                writer.WriteStringValue(token);
            writer.WriteEndArray();
            foreach (var (key, numbers) in _numbers)
            {
                writer.WriteStartArray(key);
                foreach (var number in numbers)
                    writer.WriteNumberValue(number);
                writer.WriteEndArray();
            }

            foreach (var (key, texts) in _texts)
            {
                writer.WriteStartArray(key);
                foreach (var text in texts)
                    writer.WriteStringValue(text);
                writer.WriteEndArray();
            }
        }

        private void AddScalar(FilterField field, JsonElement value)
        {
            switch (value.ValueKind)
            {
                case JsonValueKind.String:
                    AddText(field, value.GetString()!);
                    break;
                case JsonValueKind.Number:
                    if (value.TryGetDecimal(out var number))
                        AddToken(field, new FilterValue(number));
                    AddTo(_numbers, Key(field, 'n'), value.GetDouble());
                    break;
                case JsonValueKind.True or JsonValueKind.False:
                    AddToken(field, new FilterValue(value.GetBoolean()));
                    break;
                default:
                    break;
            }
        }

        private void AddText(FilterField field, string text)
        {
            AddToken(field, new FilterValue(text));
            AddTo(_texts, Key(field, 's'), text);
            AddTo(_texts, Key(field, 'l'), FilterCase.Fold(text));
            if (Guid.TryParseExact(text, "D", out var id))
                AddToken(field, new FilterValue(id));
            if (!FilterDate.TryParse(text, out var instant))
                return;
            AddToken(field, new FilterValue(instant));
            AddTo(_numbers, Key(field, 'i'), Micros(instant));
        }

        private void AddToken(FilterField field, FilterValue value)
        {
            var key = EqualKey(field, ownColumns);
            if (key == Tokens)
                _tokens.Add(Equal(field, value));
            else
                AddTo(_texts, key, Equal(field, value));
        }

        private static void AddTo<T>(Dictionary<string, List<T>> lists, string key, T value)
        {
            if (!lists.TryGetValue(key, out var list))
                lists[key] = list = [];
            list.Add(value);
        }
    }
}
