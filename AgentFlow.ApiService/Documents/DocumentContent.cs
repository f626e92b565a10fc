using System.Globalization;
using AgentFlow.ApiService.Identity;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Net.Http.Headers;

namespace AgentFlow.ApiService.Documents;

/// <summary>
/// The original as a download. Never shown by a browser as a page of ours: an attachment, without sniffing, in a sandbox. Streams; takes
/// one range (RFC 9110 section 14), If-None-Match and If-Match.
/// </summary>
internal static class DocumentContent
{
    private const string Select = "select name, media_type, size, content_hash, original_id from documents where id = $1";

    private sealed record Original(string Name, string MediaType, long Size, byte[] Hash, Guid Id);

    public static async Task GetAsync(string id, HttpContext context, Caller caller, DocumentAccess access, Database database, OriginalStore originals, CancellationToken ct)
    {
        var owner = await access.OwnerOfAsync(caller.Owner, id, ct);
        var found = owner is not null
            ? await database.ForOwner(owner.Value.Value).QuerySingleAsync(
                Select, [DocumentId.Parse(id, null).Value], row => new Original(row.GetString(0), row.GetString(1), row.GetInt64(2), (byte[])row[3], row.GetGuid(4)), ct)
            : null;
        if (found is null)
        {
            await Problem.WriteAsync(context, StatusCodes.Status404NotFound, "not_found", "There is no such document.");
            return;
        }

        var etag = new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(found.Hash)}\"");
        WriteHeaders(context.Response, found, etag);
        var request = context.Request.GetTypedHeaders();
        if (request.IfMatch.Count > 0 && !request.IfMatch.Any(tag => tag.Equals(EntityTagHeaderValue.Any) || tag.Compare(etag, useStrongComparison: true)))
        {
            await Problem.WriteAsync(context, StatusCodes.Status412PreconditionFailed, "content_changed", "The document has another content than the one that is asked for.");
            return;
        }

        if (request.IfNoneMatch.Any(tag => tag.Equals(EntityTagHeaderValue.Any) || tag.Compare(etag, useStrongComparison: false)))
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        var (start, end) = (0L, found.Size);
        if (SingleRange(request, etag) is { } wanted)
        {
            if (Resolve(wanted, found.Size) is not { } range)
            {
                context.Response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes */{found.Size}");
                await Problem.WriteAsync(context, StatusCodes.Status416RangeNotSatisfiable, "range_not_satisfiable", $"The document has {found.Size} bytes.");
                return;
            }

            (start, end) = range;
            context.Response.StatusCode = StatusCodes.Status206PartialContent;
            context.Response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {start}-{end - 1}/{found.Size}");
        }

        context.Response.ContentLength = end - start;
        if (HttpMethods.IsHead(context.Request.Method))
            return;
        await foreach (var bytes in originals.ReadAsync(owner!.Value.Value, found.Id, start, end, ct))
            await context.Response.Body.WriteAsync(bytes, ct);
    }

    private static void WriteHeaders(HttpResponse response, Original found, EntityTagHeaderValue etag)
    {
        var disposition = new ContentDispositionHeaderValue("attachment");
        disposition.SetHttpFileName(found.Name);
        var headers = response.GetTypedHeaders();
        headers.ETag = etag;
        headers.ContentDisposition = disposition;
        headers.CacheControl = new CacheControlHeaderValue { Private = true, NoCache = true };
        response.ContentType = found.MediaType;
        response.Headers.AcceptRanges = "bytes";
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers.ContentSecurityPolicy = "default-src 'none'; sandbox";
        response.Headers["Cross-Origin-Resource-Policy"] = "same-origin";
    }

    /// <summary>Several ranges, other units and a stale If-Range are answered with the whole, as the standard allows.</summary>
    private static RangeItemHeaderValue? SingleRange(Microsoft.AspNetCore.Http.Headers.RequestHeaders request, EntityTagHeaderValue etag)
    {
        if (request.IfRange is { } condition && condition.EntityTag?.Compare(etag, useStrongComparison: true) != true)
            return null;
        return request.Range is { Ranges.Count: 1 } range && range.Unit.Equals("bytes", StringComparison.OrdinalIgnoreCase) ? range.Ranges.First() : null;
    }

    private static (long Start, long End)? Resolve(RangeItemHeaderValue range, long size)
    {
        if (range.From is { } from)
            return from < size ? (from, Math.Min(size, (range.To ?? size - 1) + 1)) : null;
        return range.To is > 0 ? (Math.Max(0, size - range.To.Value), size) : null;
    }
}
