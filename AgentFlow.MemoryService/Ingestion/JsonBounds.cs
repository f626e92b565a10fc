using System.Globalization;
using System.Text.Json;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>
/// What JSON the database keeps and every answer can hold: jsonb writes numbers out in digits, so that <c>1e100000</c> becomes 100,000 of them or an
/// error, and what is nested deeper than a reader takes would make every list with it unreadable. Pure.
/// </summary>
internal static class JsonBounds
{
    /// <summary>Readers take 64 levels; an export puts five around a version's metadata.</summary>
    internal const int MaxDepth = 32;

    private const int MaxDigits = 1_000;
    private const int MaxExponent = 400;

    /// <returns>What is wrong with it; null when it can be kept.</returns>
    internal static string? Refusal(JsonElement value, int depth = 1)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object or JsonValueKind.Array when depth > MaxDepth:
                return $"is nested deeper than {MaxDepth} levels";
            case JsonValueKind.Object:
                return value.EnumerateObject().Select(member => Refusal(member.Value, depth + 1)).FirstOrDefault(refusal => refusal is not null);
            case JsonValueKind.Array:
                return value.EnumerateArray().Select(item => Refusal(item, depth + 1)).FirstOrDefault(refusal => refusal is not null);
            case JsonValueKind.Number:
                return Fits(value.GetRawText()) ? null : $"holds a number of more than {MaxDigits} digits, or beyond 1e±{MaxExponent}";
            default:
                return null;
        }
    }

    private static bool Fits(string number)
    {
        if (number.Length > MaxDigits)
            return false;
        var exponent = number.AsSpan().IndexOfAny('e', 'E');
        return exponent < 0 || (int.TryParse(number.AsSpan(exponent + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var power) && Math.Abs((long)power) <= MaxExponent);
    }
}
