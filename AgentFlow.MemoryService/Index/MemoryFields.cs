using System.Collections;
using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.MemoryService.Index;

/// <summary>
/// What filters see of one memory, by column name. Values are made when they are asked for: an index of many memories holds their rows
/// once, not a JSON document for each field. Immutable, thread-safe.
/// </summary>
internal sealed class MemoryFields(MemoryRow row) : IReadOnlyDictionary<string, JsonElement>
{
    private const int MaxInterned = 20_000;

    private static readonly JsonElement EmptyObject = JsonElement.Parse("{}");
    private static readonly JsonElement EmptyList = JsonElement.Parse("[]");

    /// <summary>Subjects repeat from memory to memory; their elements are shared.</summary>
    private static readonly ConcurrentDictionary<string, JsonElement> Interned = new(StringComparer.Ordinal);

    private static readonly FrozenDictionary<string, Func<MemoryRow, JsonElement?>> Readers = new Dictionary<string, Func<MemoryRow, JsonElement?>>(StringComparer.Ordinal)
    {
        [SubjectFilter.UserId] = row => Text(row.Scope.UserId),
        [SubjectFilter.AgentId] = row => Text(row.Scope.AgentId),
        [SubjectFilter.SessionId] = row => Text(row.Scope.SessionId),
        [SubjectFilter.AppId] = row => Text(row.Scope.AppId),
        ["id"] = row => Of(row.Id.ToString()),
        ["kind"] = row => Text(row.Kind.ToString().ToLowerInvariant()),
        ["categories"] = row => row.Categories.Length == 0 ? EmptyList : JsonSerializer.SerializeToElement(row.Categories),
        ["trust"] = row => Text(row.Trust.ToString().ToLowerInvariant()),
        ["source"] = row => Text(row.Source),
        ["role"] = row => Text(row.Role),
        ["actor"] = row => Text(row.Actor),
        ["immutable"] = row => JsonSerializer.SerializeToElement(row.Immutable),
        ["created_at"] = row => Time(row.CreatedAt),
        ["updated_at"] = row => Time(row.UpdatedAt),
        ["observed_at"] = row => Time(row.ObservedAt),
        ["expires_at"] = row => Time(row.ExpiresAt),
        ["valid_from"] = row => Time(row.ValidFrom),
        ["valid_to"] = row => Time(row.ValidTo),
        ["text"] = row => Of(row.Text),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private JsonElement? _metadata;

    public IEnumerable<string> Keys => this.Select(pair => pair.Key);

    public IEnumerable<JsonElement> Values => this.Select(pair => pair.Value);

    public int Count => 1 + Readers.Values.Count(read => read(row) is not null);

    public JsonElement this[string key] => TryGetValue(key, out var value) ? value : throw new KeyNotFoundException(key);

    public bool ContainsKey(string key) => TryGetValue(key, out _);

    public bool TryGetValue(string key, [MaybeNullWhen(false)] out JsonElement value)
    {
        if (key == FilterMatch.MetadataField)
        {
            value = Metadata();
            return true;
        }

        var found = Readers.TryGetValue(key, out var read) ? read(row) : null;
        value = found.GetValueOrDefault();
        return found is not null;
    }

    public IEnumerator<KeyValuePair<string, JsonElement>> GetEnumerator()
    {
        foreach (var (name, read) in Readers)
        {
            if (read(row) is { } value)
                yield return new KeyValuePair<string, JsonElement>(name, value);
        }

        yield return new KeyValuePair<string, JsonElement>(FilterMatch.MetadataField, Metadata());
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private JsonElement Metadata()
    {
        if (_metadata is { } known)
            return known;
        var parsed = row.Metadata == "{}" ? EmptyObject : JsonElement.Parse(row.Metadata);
        _metadata = parsed;
        return parsed;
    }

    private static JsonElement? Text(string? text)
    {
        if (text is null)
            return null;
        if (Interned.TryGetValue(text, out var known))
            return known;
        var made = Of(text);
        if (Interned.Count < MaxInterned)
            Interned[text] = made;
        return made;
    }

    private static JsonElement Of(string text) => JsonSerializer.SerializeToElement(text);

    private static JsonElement? Time(DateTimeOffset? time) =>
        time is { } given ? Of(given.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture)) : null;
}
