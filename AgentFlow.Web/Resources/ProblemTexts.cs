using AgentFlow.Web.Api;
using Microsoft.Extensions.Localization;

namespace AgentFlow.Web.Resources;

/// <summary>
/// Why something was refused, in the reader's language: the resource text of the refusal's code, in which {0} stands for the API's own words.
/// A code without a text, of a newer API, is said in the API's words.
/// </summary>
internal static class ProblemTexts
{
    /// <summary>Before the code, in a resource's name.</summary>
    public const string Prefix = "problem: ";

    public static string Explain(this IStringLocalizer texts, ApiProblem problem) => texts.Explain(problem.Code, problem.Detail);

    public static string Explain(this IStringLocalizer texts, string code, string detail)
    {
        var text = texts[Prefix + code, detail];
        return text.ResourceNotFound ? detail : text.Value;
    }
}
