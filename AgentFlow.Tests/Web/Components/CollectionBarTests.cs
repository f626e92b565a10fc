using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Web.Components.Documents;

namespace AgentFlow.Tests.Web.Components;

public sealed class CollectionBarTests
{
    private static readonly IReadOnlyList<Collection> Many = Collections(30);

    [Fact]
    public void Few_are_all_shown()
    {
        var few = Collections(8);

        Assert.Equal(few, CollectionBar.Matching(few, selected: null, ""));
    }

    [Theory]
    [InlineData("", new[] { 1, 2, 3, 4, 5, 6, 7, 8, 20 })]
    [InlineData(" honey 2", new[] { 2, 20, 21, 22, 23, 24, 25, 26 })]
    [InlineData("HONEY 30", new[] { 20, 30 })]
    [InlineData("wax", new[] { 20 })]
    public void Of_many_the_first_that_match_are_shown_and_the_chosen_one(string filter, int[] shown) =>
        Assert.Equal(shown.Select(number => "Honey " + number), CollectionBar.Matching(Many, Many[19], filter).Select(collection => collection.Name));

    private static List<Collection> Collections(int count) =>
        [.. Enumerable.Range(1, count).Select(number => new Collection { Id = CollectionId.New(), Name = "Honey " + number, OwnerId = OwnerId.New(), Documents = 0, CreatedAt = DateTimeOffset.UnixEpoch })];
}
