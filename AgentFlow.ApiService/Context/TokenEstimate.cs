using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Context;

/// <summary>
/// How many tokens a text costs, without a tokenizer: no model's vocabulary is known here, so the estimate errs high. A token is taken as
/// four characters of Latin words, three of digits and punctuation, and one of every script without spaces. Pure.
/// </summary>
internal static class TokenEstimate
{
    /// <summary>Role and separators of one message (OpenAI cookbook, "How to count tokens": 3 and the reply's priming).</summary>
    public const int PerMessage = 4;

    public static int Of(string text)
    {
        // Twelfths of a token: 3 for a letter or space, 4 for a digit or sign, 12 for a wide character.
        var twelfths = 0L;
        foreach (var c in text)
            twelfths += c >= 0x2E80 ? 12 : c >= 0x0250 ? 6 : char.IsAsciiLetter(c) || c == ' ' ? 3 : 4;
        return (int)Math.Min(int.MaxValue, (twelfths + 11) / 12);
    }

    /// <summary>A message with all that is in it: words, calls of tools, and what they returned.</summary>
    public static int Of(ChatMessage message) => PerMessage + message.Contents.Sum(content => content switch
    {
        TextContent text => Of(text.Text),
        FunctionCallContent call => Of(call.Name) + (call.Arguments?.Sum(argument => Of(argument.Key) + Of(argument.Value?.ToString() ?? "")) ?? 0) + PerMessage,
        FunctionResultContent result => Of(result.Result?.ToString() ?? ""),
        _ => 0,
    });
}
