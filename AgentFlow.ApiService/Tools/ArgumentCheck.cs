using System.Text.Json;
using System.Text.RegularExpressions;

namespace AgentFlow.ApiService.Tools;

/// <summary>
/// Checks a model's arguments against a tool's JSON schema: type, required, properties, additionalProperties, items, enum, const, the
/// bounds of numbers, lengths and counts, pattern, anyOf, oneOf, allOf. Other keywords are left to the tool. Pure.
/// </summary>
internal static class ArgumentCheck
{
    private const int MaxDepth = 32;
    private static readonly TimeSpan PatternLimit = TimeSpan.FromSeconds(1);

    /// <returns>The first fault as one sentence with its place, or null.</returns>
    public static string? FirstFault(JsonElement schema, JsonElement value)
    {
        try
        {
            return Check(schema, value, "arguments", 0);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException)
        {
            // Schemas of other servers are written by hand: {"required":"city"}. What can not be checked is not called.
            return "The tool's own description of its arguments can not be read; it can not be called.";
        }
    }

    private static string? Check(JsonElement schema, JsonElement value, string place, int depth)
    {
        if (schema.ValueKind != JsonValueKind.Object)
            return schema.ValueKind == JsonValueKind.False ? $"{place} is not allowed." : null;
        if (depth > MaxDepth)
            return $"{place} is nested too deeply.";
        if (schema.TryGetProperty("type", out var type) && !IsOfType(type, value))
            return $"{place} must be of type {TypeText(type)}.";
        if (schema.TryGetProperty("enum", out var options) && !options.EnumerateArray().Any(o => JsonElement.DeepEquals(o, value)))
            return $"{place} must be one of {options.GetRawText()}.";
        if (schema.TryGetProperty("const", out var constant) && !JsonElement.DeepEquals(constant, value))
            return $"{place} must be {constant.GetRawText()}.";
        if (schema.TryGetProperty("anyOf", out var any) && any.EnumerateArray().All(form => Check(form, value, place, depth + 1) is not null))
            return $"{place} fits none of its forms.";
        if (schema.TryGetProperty("oneOf", out var one) && one.EnumerateArray().Count(form => Check(form, value, place, depth + 1) is null) != 1)
            return $"{place} must fit exactly one of its forms.";
        if (schema.TryGetProperty("allOf", out var all) && all.EnumerateArray().Select(part => Check(part, value, place, depth + 1)).FirstOrDefault(fault => fault is not null) is { } unfit)
            return unfit;
        return value.ValueKind switch
        {
            JsonValueKind.Object => CheckObject(schema, value, place, depth),
            JsonValueKind.Array => CheckArray(schema, value, place, depth),
            JsonValueKind.String => CheckText(schema, value.GetString()!, place),
            JsonValueKind.Number => CheckNumber(schema, value, place),
            _ => null,
        };
    }

    private static string? CheckObject(JsonElement schema, JsonElement value, string place, int depth)
    {
        if (schema.TryGetProperty("required", out var required))
        {
            foreach (var name in required.EnumerateArray().Select(r => r.GetString()!))
            {
                if (!value.TryGetProperty(name, out _))
                    return $"{place}.{name} is missing.";
            }
        }

        var known = schema.TryGetProperty("properties", out var properties) ? properties : default;
        var others = schema.TryGetProperty("additionalProperties", out var additional) ? additional : default;
        foreach (var member in value.EnumerateObject())
        {
            var isKnown = known.ValueKind == JsonValueKind.Object && known.TryGetProperty(member.Name, out _);
            if (!isKnown && (others.ValueKind == JsonValueKind.False || (others.ValueKind == JsonValueKind.Undefined && known.ValueKind == JsonValueKind.Object && depth == 0)))
                return $"{place}.{member.Name} is unknown.";
            var rule = isKnown ? known.GetProperty(member.Name) : others;
            if (Check(rule, member.Value, $"{place}.{member.Name}", depth + 1) is { } fault)
                return fault;
        }

        return null;
    }

    private static string? CheckArray(JsonElement schema, JsonElement value, string place, int depth)
    {
        var count = value.GetArrayLength();
        if (schema.TryGetProperty("minItems", out var min) && count < min.GetInt32())
            return $"{place} must have at least {min} items.";
        if (schema.TryGetProperty("maxItems", out var max) && count > max.GetInt32())
            return $"{place} must have at most {max} items.";
        if (!schema.TryGetProperty("items", out var items))
            return null;
        var i = 0;
        foreach (var item in value.EnumerateArray())
        {
            if (Check(items, item, $"{place}[{i++}]", depth + 1) is { } fault)
                return fault;
        }

        return null;
    }

    private static string? CheckText(JsonElement schema, string value, string place)
    {
        if (schema.TryGetProperty("minLength", out var min) && value.Length < min.GetInt32())
            return $"{place} must have at least {min} characters.";
        if (schema.TryGetProperty("maxLength", out var max) && value.Length > max.GetInt32())
            return $"{place} must have at most {max} characters.";
        if (value.Contains('\0'))
            return $"{place} holds a null character.";
        return schema.TryGetProperty("pattern", out var pattern) && !Matches(value, pattern.GetString()!) ? $"{place} must match {pattern}." : null;
    }

    private static bool Matches(string value, string pattern)
    {
        try
        {
            return Regex.IsMatch(value, pattern, RegexOptions.CultureInvariant, PatternLimit);
        }
        catch (ArgumentException)
        {
            // The schema's author wrote a pattern of another dialect; the tool itself must judge.
            return true;
        }
        catch (RegexMatchTimeoutException)
        {
            return false;
        }
    }

    private static string? CheckNumber(JsonElement schema, JsonElement value, string place)
    {
        if (!value.TryGetDouble(out var number) || !double.IsFinite(number))
            return $"{place} is out of range.";
        if (schema.TryGetProperty("minimum", out var min) && number < min.GetDouble())
            return $"{place} must be at least {min}.";
        if (schema.TryGetProperty("exclusiveMinimum", out var above) && number <= above.GetDouble())
            return $"{place} must be more than {above}.";
        if (schema.TryGetProperty("exclusiveMaximum", out var below) && number >= below.GetDouble())
            return $"{place} must be less than {below}.";
        return schema.TryGetProperty("maximum", out var max) && number > max.GetDouble() ? $"{place} must be at most {max}." : null;
    }

    private static bool IsOfType(JsonElement type, JsonElement value) => type.ValueKind == JsonValueKind.Array
        ? type.EnumerateArray().Any(t => IsOfType(t, value))
        : (type.GetString(), value.ValueKind) switch
        {
            ("object", JsonValueKind.Object) or ("array", JsonValueKind.Array) or ("string", JsonValueKind.String) or ("null", JsonValueKind.Null)
                or ("boolean", JsonValueKind.True or JsonValueKind.False) or ("number", JsonValueKind.Number) => true,
            ("integer", JsonValueKind.Number) => value.TryGetDecimal(out var number) && number == decimal.Truncate(number),
            _ => false,
        };

    private static string TypeText(JsonElement type) =>
        type.ValueKind == JsonValueKind.Array ? string.Join(" or ", type.EnumerateArray().Select(t => t.GetString())) : type.GetString() ?? "";
}
