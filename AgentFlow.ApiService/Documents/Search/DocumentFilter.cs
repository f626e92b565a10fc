using System.Text.Json;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.ApiService.Documents;

/// <summary>
/// The filters of a document search: the retrieval library's grammar over <see cref="DocumentFields"/>, such as
/// <c>{"type": ["pdf", "docx"], "tag": "law", "date": {"gte": "2026-01-01"}, "metadata": {"author": "Ada"}}</c>.
/// </summary>
internal static class DocumentFilter
{
    private static readonly FilterSchema Schema = new(
        "d.metadata",
        new FilterColumn(DocumentFields.Document, FilterKind.Id, "d.id", "documentId"),
        new FilterColumn(DocumentFields.Name, FilterKind.Text, "d.name"),
        new FilterColumn(DocumentFields.Type, FilterKind.Text, "d.format"),
        new FilterColumn(DocumentFields.Tag, FilterKind.TextList, "d.tags", "tags"),
        new FilterColumn(DocumentFields.Date, FilterKind.Instant, "d.created_at", "createdAt"),
        new FilterColumn(
            DocumentFields.Collection,
            FilterKind.TextList,
            "(select array_agg(m.collection_id::text) from collection_documents m where m.document_id = d.id)",
            "collectionId"));

    /// <exception cref="ServiceDefaults.Problems.ProblemException">400, naming the place in the filter.</exception>
    public static FilterExpression? Parse(JsonElement filter)
    {
        var parsed = FilterParser.Parse(filter, Schema, out var error);
        return error is null ? parsed : throw Refusals.Invalid("filter", error.ToString());
    }
}
