using System.Collections.Immutable;
using System.Text.RegularExpressions;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Tests.EndToEnd;
using AgentFlow.Web.State;

namespace AgentFlow.Tests.Web.State;

public sealed partial class MessagePartsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(60)]
    [InlineData(131)]
    public void A_message_stays_in_its_part_when_others_come_before_and_after_it(int count)
    {
        var messages = Messages(count);
        for (var wanted = 1; wanted <= count; wanted++)
        {
            var parts = MessageParts.Of(messages, wanted).ToList();
            Assert.Equal(messages.Skip(MessageParts.Hidden(count, wanted)), parts.SelectMany(part => part.Messages));
            Assert.InRange(parts.Sum(part => part.Messages.Count), wanted, wanted + MessageParts.Size - 1);
            Assert.All(parts, part => Assert.Equal(part == parts[^1], part.IsLast));
            foreach (var more in new[] { MessageParts.Of(messages, wanted + 24), MessageParts.Of(messages.AddRange(Messages(1)), wanted + 1) })
            {
                var places = more.SelectMany(part => part.Messages, (part, message) => (message.Id, part.Number)).ToDictionary();
                Assert.All(parts, part => Assert.All(part.Messages, message => Assert.Equal(part.Number, places[message.Id])));
            }
        }
    }

    [Fact]
    public void Nothing_has_no_parts() => Assert.Empty(MessageParts.Of([], 60));

    /// <summary>Such a rule made the browser find the style of every message anew whenever one came: most of the time of a long conversation.</summary>
    [Fact]
    public async Task No_rule_for_a_message_looks_at_what_stands_beside_or_in_it()
    {
        var style = await File.ReadAllTextAsync(Path.Combine(RunningAgentFlow.Solution, "AgentFlow.Web", "wwwroot", "app.css"), TestContext.Current.CancellationToken);
        var selectors = Rule().Matches(style).SelectMany(rule => rule.Groups[1].Value.Split(',')).Where(selector => selector.Contains(".message", StringComparison.Ordinal)).ToList();

        Assert.NotEmpty(selectors);
        Assert.DoesNotContain(selectors, selector => Costly().IsMatch(selector));
    }

    private static ImmutableList<MessageView> Messages(int count) =>
        [.. Enumerable.Range(0, count).Select(_ => new MessageView { Id = MessageId.New(), Role = ChatRole.User })];

    [GeneratedRegex(@"([^{}]+)\{")]
    private static partial Regex Rule();

    [GeneratedRegex(@"\.message(s-part)?\b[^\s>]*:(has|not\(:has|last-|first-|nth-|only-)|\.message(s-part)?\b[^\s]*\s*[+~]|[+~]\s*\.message")]
    private static partial Regex Costly();
}
