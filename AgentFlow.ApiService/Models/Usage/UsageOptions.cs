using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ApiService.Models.Usage;

/// <summary>Section <c>Budgets</c>: what one account may use up in any 24 hours. Absent: no limit. The built-in model costs nothing.</summary>
internal sealed class BudgetOptions
{
    public const string Section = "Budgets";

    /// <summary>Prompt and answer tokens together.</summary>
    [Range(1, long.MaxValue)]
    public long? TokensPerDay { get; set; }

    /// <summary>In the currency of the providers' prices.</summary>
    [Range(0, 1_000_000_000)]
    public decimal? CostPerDay { get; set; }
}
