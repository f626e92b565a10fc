using System.Collections.Immutable;

namespace AgentFlow.Web.State;

/// <summary>
/// The shown end of a conversation in parts of equally many messages, counted from its start, so that a message stays in its part whatever comes before or
/// after it. The browser lays out, paints and watches parts, not messages: of 2,000 messages it has 167 to look at in each frame.
/// </summary>
internal static class MessageParts
{
    /// <summary>A part is about one or two screens high: it is drawn as a whole once the reader comes near.</summary>
    public const int Size = 12;

    /// <param name="wanted">At least so many of the newest messages are shown; more, where the first part would not be whole.</param>
    /// <returns>How many messages are not shown.</returns>
    public static int Hidden(int messages, int wanted)
    {
        var first = Math.Max(0, messages - wanted);
        return first - (first % Size);
    }

    public static IEnumerable<Part> Of(ImmutableList<MessageView> messages, int wanted)
    {
        for (var at = Hidden(messages.Count, wanted); at < messages.Count; at += Size)
            yield return new Part(at / Size, messages.GetRange(at, Math.Min(Size, messages.Count - at)), at + Size >= messages.Count);
    }

    /// <param name="Number">From the conversation's start: the same part has the same number whatever is shown.</param>
    internal sealed record Part(int Number, ImmutableList<MessageView> Messages, bool IsLast);
}
