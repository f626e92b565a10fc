using System.Text;

namespace AgentFlow.ApiService.Runs;

/// <summary>Says to a model who speaks, where there are several: <c>Ada: Is it raining?</c> Pure.</summary>
internal static class Speaker
{
    /// <param name="author">Null: nobody but the user can have said it.</param>
    /// <param name="text">What was said.</param>
    public static string Sign(string? author, string text) => author is null ? text : $"{Clean(author)}: {text}";

    /// <summary>A name that somebody chose stays on its line and can not play another speaker.</summary>
    private static string Clean(string author)
    {
        var name = new StringBuilder(author.Length);
        foreach (var character in author)
            name.Append(char.IsLetterOrDigit(character) || char.IsSurrogate(character) || character is '-' or '\'' or '.' or '_' ? character : ' ');
        return name.ToString().Trim() is { Length: > 0 } clean ? clean : "Somebody";
    }
}
