using System.Globalization;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;

namespace AgentFlow.ApiService.Chat;

/// <summary>A conversation to take away.</summary>
internal static class ConversationExports
{
    public static async Task<ConversationExport?> CollectAsync(Conversations conversations, OwnerId owner, ConversationId id, CancellationToken ct)
    {
        if (await conversations.FindAsync(owner, id, ct) is not { } conversation)
            return null;
        var messages = new List<HistoryMessage>();
        string? cursor = null;
        do
        {
            if (await conversations.HistoryAsync(owner, id, Cursor.MaxLimit, Cursor.Position(cursor), fromNewest: false, ct) is not { } page)
                return null;
            messages.AddRange(page.Items);
            cursor = page.NextCursor;
        }
        while (cursor is not null);
        return new() { Conversation = conversation, Messages = messages };
    }

    public static string Markdown(ConversationExport export)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"# {export.Conversation.Title}\n");
        foreach (var message in export.Messages)
        {
            var who = message.Author ?? (message.Role == ChatRole.User ? "User" : "Assistant");
            text.Append(CultureInfo.InvariantCulture, $"\n## {who}, {message.CreatedAt:yyyy-MM-dd HH:mm} UTC\n\n");
            if (message.SelectedText is { } selected)
                text.Append("> ").AppendJoin("\n> ", selected.ReplaceLineEndings("\n").Split('\n')).Append("\n\n");
            text.Append(CultureInfo.InvariantCulture, $"{message.Content}\n");
            foreach (var citation in message.Citations)
                text.Append(CultureInfo.InvariantCulture, $"\n[{citation.Index}] {citation.DocumentName ?? "selected text"}, characters {citation.Start} to {citation.End}\n");
        }

        return text.ToString();
    }
}
