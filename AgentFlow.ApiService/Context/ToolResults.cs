using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Context;

/// <summary>Makes room in a turn that has called tools: their results are shortened, the oldest first, and each says so. Pure.</summary>
internal static class ToolResults
{
    /// <summary>Of each result at least; a beginning tells a model whether to ask again.</summary>
    private const int KeptCharacters = 400;

    /// <param name="messages">What followed the prompt.</param>
    /// <param name="tokens">What it should cost at most; where the beginnings alone cost more, it costs more.</param>
    /// <returns>The messages, and how many results were shortened.</returns>
    public static (IReadOnlyList<ChatMessage> Messages, int Shortened) Fit(IReadOnlyList<ChatMessage> messages, int tokens)
    {
        var over = messages.Sum(TokenEstimate.Of) - tokens;
        var shortened = 0;
        var fitted = new List<ChatMessage>(messages.Count);
        foreach (var message in messages)
        {
            if (over <= 0 || !message.Contents.OfType<FunctionResultContent>().Any())
            {
                fitted.Add(message);
                continue;
            }

            var contents = new List<AIContent>(message.Contents.Count);
            foreach (var content in message.Contents)
            {
                if (over > 0 && content is FunctionResultContent { Result: string text } result && Shorten(text, over) is { } shorter)
                {
                    over -= TokenEstimate.Of(text) - TokenEstimate.Of(shorter);
                    shortened++;
                    contents.Add(new FunctionResultContent(result.CallId, shorter));
                }
                else
                {
                    contents.Add(content);
                }
            }

            fitted.Add(new ChatMessage(message.Role, contents));
        }

        return (fitted, shortened);
    }

    /// <returns>Null where that would save next to nothing.</returns>
    private static string? Shorten(string text, int tokens)
    {
        var cost = Math.Max(1, TokenEstimate.Of(text));
        var kept = Math.Max(KeptCharacters, (int)(text.Length * (double)(cost - tokens) / cost) - 80);
        if (kept + 100 >= text.Length)
            return null;
        if (char.IsHighSurrogate(text[kept - 1]))
            kept--;
        return $"{text[..kept]}\n(shortened to make room: {text.Length - kept} of {text.Length} characters are left out)";
    }
}
