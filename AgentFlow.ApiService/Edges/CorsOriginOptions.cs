using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ApiService.Edges;

/// <summary>Web pages of other origins that may call the API and open its WebSockets. Section <c>Cors</c>; <c>FRONTEND_URL</c> is added.</summary>
internal sealed class CorsOriginOptions : IValidatableObject
{
    public const string Section = "Cors";

    /// <summary>Exact origins, such as <c>https://app.example.org</c>: scheme, host and port, nothing else. Default: none.</summary>
    public IList<string> Origins { get; } = [];

    /// <summary>Compared exactly, as browsers send it.</summary>
    public bool Allows(string? origin) => origin is not null && Origins.Contains(origin, StringComparer.OrdinalIgnoreCase);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) => Origins
        .Where(origin => !Uri.TryCreate(origin, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https")
            || !string.Equals(uri.GetLeftPart(UriPartial.Authority), origin, StringComparison.OrdinalIgnoreCase))
        .Select(origin => new ValidationResult($"'{origin}' is no origin. Write scheme, host and port only, such as https://app.example.org.", [nameof(Origins)]));
}
