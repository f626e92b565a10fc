using Microsoft.Extensions.AI;
using Microsoft.SemanticKernel;

namespace AgentFlow.ApiService.Tools.SemanticKernel;

/// <summary>
/// The functions of every <see cref="KernelPlugin"/> that is registered in the container; an agent is granted <c>plugin.function</c>. Built
/// with <c>-p:UseSemanticKernel=true</c> only, since not every feed carries its packages; unproved where they are missing (docs/decisions).
/// What a plug-in does is unknown here, so its functions count as having side effects and as bringing in untrusted text.
/// </summary>
internal sealed class KernelTools(IEnumerable<KernelPlugin> plugins) : IToolSource
{
    public IReadOnlyCollection<Tool> Tools { get; } =
    [
        .. from plugin in plugins
           from function in plugin
           select new Tool(new Named(ToolCatalog.ToFunctionName($"{plugin.Name}.{function.Name}"), function), HasSideEffects: true, GivesUntrustedText: true, "extension"),
    ];

    /// <summary>A kernel function is an AIFunction; only its name must be unique over all sources.</summary>
    private sealed class Named(string name, KernelFunction function) : DelegatingAIFunction(function)
    {
        public override string Name => name;
    }
}
