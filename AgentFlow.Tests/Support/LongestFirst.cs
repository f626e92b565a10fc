using Xunit.Sdk;
using Xunit.v3;

[assembly: TestCollectionOrderer(typeof(AgentFlow.Tests.Support.LongestFirst))]

namespace AgentFlow.Tests.Support;

/// <summary>The classes that take long begin first, or the end of the run would wait for one of them alone.</summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    private static readonly string[] Long = [".EndToEnd.", ".Deploy.RestoreDrillTests", "SoakTests", ".HistoriesTests"];

    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection =>
        [.. testCollections.OrderByDescending(collection => Long.Any(name => collection.TestCollectionDisplayName.Contains(name, StringComparison.Ordinal)))
            .ThenBy(collection => collection.TestCollectionDisplayName, StringComparer.Ordinal)];
}
