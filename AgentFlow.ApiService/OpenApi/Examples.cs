using System.Collections.Frozen;
using System.Text.Json.Nodes;

namespace AgentFlow.ApiService.OpenApi;

/// <summary>A body that works, by the route's name; a test sees that each parses as the route's type.</summary>
internal static class Examples
{
    private static readonly FrozenDictionary<string, string> Bodies = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["Register"] = """{"email":"ada@example.org","password":"correct horse battery staple","displayName":"Ada","setupToken":"printed at the first start"}""",
        ["Login"] = """{"email":"ada@example.org","password":"correct horse battery staple"}""",
        ["Refresh"] = """{"refreshToken":"afr_4yQ0Zs3tq0b9w5yqk2m8V1u7cXnJrLhT6dPaGfEoIs8"}""",
        ["ChangePassword"] = """{"currentPassword":"correct horse battery staple","newPassword":"incorrect donkey battery staple"}""",
        ["EraseAccount"] = """{"password":"the password of this account"}""",
        ["PatchProfile"] = """{"displayName":"Ada Lovelace"}""",
        ["CreateApiKey"] = """{"name":"laptop","scopes":["chat","documents"]}""",
        ["Chat"] = """{"message":"What does the licence say about warranty?","stream":true}""",
        ["Query"] = """{"question":"What does the licence say about warranty?","topK":5}""",
        ["RenameConversation"] = """{"title":"Licences"}""",
        ["CreateRoom"] = """{"name":"Release team","agent":"default"}""",
        ["PatchRoom"] = """{"name":"Release crew"}""",
        ["InviteToRoom"] = """{"email":"grace@example.org","role":"member"}""",
        ["DecideApproval"] = """{"decision":"approve"}""",
        ["CreateAgent"] = """{"slug":"tutor","name":"Tutor","instructions":"Explain step by step and ask one question back.","models":["*"],"tools":[{"name":"calculate"}]}""",
        ["PutAgent"] = """{"slug":"tutor","instructions":"Explain briefly.","models":["*"],"version":1}""",
        ["SearchDocuments"] = """{"query":"warranty","topK":5}""",
        ["PatchDocument"] = """{"name":"Licence.txt","tags":["legal"]}""",
        ["IngestUrl"] = """{"url":"https://www.gnu.org/licenses/gpl-3.0.txt","tags":["legal"]}""",
        ["CreateCollection"] = """{"name":"Licences"}""",
        ["ShareCollection"] = """{"userId":"0199a000-0000-7000-8000-000000000001","access":"read"}""",
        ["CreateTask"] = """{"kind":"run","input":{"message":"Summarise my newest document."}}""",
        ["AddOwnMemory"] = """{"text":"I prefer short answers."}""",
        ["EditOwnMemory"] = """{"text":"I prefer long answers."}""",
        ["ImportOwnMemories"] = """{"format":"agentflow-memories-1","memories":[]}""",
        ["SearchOwnMemories"] = """{"query":"preferences","topK":5}""",
        ["DecideOwnReview"] = """{"decision":"approve","text":"I prefer short answers with sources."}""",
        ["CreateInvite"] = """{"email":"grace@example.org","role":"user"}""",
        ["PatchUser"] = """{"disabled":true}""",
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static JsonNode? ForOperation(string? operationId) =>
        operationId is not null && Bodies.TryGetValue(operationId, out var json) ? JsonNode.Parse(json) : null;
}
