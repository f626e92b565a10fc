namespace AgentFlow.Web.Resources;

/// <summary>
/// Names the visible texts of the front end (<c>Texts.resx</c>). A text's key is its English wording; another language is a
/// <c>Texts.&lt;culture&gt;.resx</c> beside it, and that culture among those of the requests.
/// </summary>
public sealed class Texts;
