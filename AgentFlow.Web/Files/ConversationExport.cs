using System.Text;
using AgentFlow.Contracts.Chat;

namespace AgentFlow.Web.Files;

/// <summary>A conversation as a markdown file: who said what, with the sources. Pure.</summary>
internal static class ConversationExport
{
    public static void Append(StringBuilder text, HistoryMessage message)
    {
        var who = message.Role is ChatRole.User ? message.Author ?? "You" : "AgentFlow";
        text.Append("## ").Append(who).Append(" · ").Append(message.CreatedAt.UtcDateTime.ToString("yyyy-MM-dd HH:mm")).Append(" UTC\n\n");
        text.Append(message.Content.TrimEnd()).Append("\n\n");
        foreach (var citation in message.Citations)
        {
            text.Append('[').Append(citation.Index).Append("] ").Append(citation.DocumentName ?? "Selected text");
            if (citation.Page is { } page)
                text.Append(", page ").Append(page);
            text.Append(": “").Append(citation.Quote.ReplaceLineEndings(" ").Trim()).Append("”\n");
        }

        if (message.Citations.Count > 0)
            text.Append('\n');
    }
}
