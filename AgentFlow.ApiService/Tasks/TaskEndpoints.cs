using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text.Json;
using System.Threading.Channels;
using AgentFlow.ApiService.Documents;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Tasks;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Queue;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.ApiService.Tasks;

/// <summary>Background work: asking for it, watching it, stopping it and trying it again.</summary>
internal static class TaskEndpoints
{
    private const int MaxPage = 200;
    private const short MaxPriority = 10;

    private static readonly string[] Statuses = [.. Enum.GetNames<BackgroundTaskStatus>().Select(name => name.ToLowerInvariant())];

    /// <summary>How often a stream looks even if nobody told it of a change.</summary>
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(5);

    public static void MapTasks(this IEndpointRouteBuilder routes)
    {
        var tasks = routes.MapGroup("/api/tasks").WithTags("Tasks").RequireAuthorization(Policies.Chat);
        tasks.MapPost("/", CreateAsync).LimitAs(LimitKind.Chat).WithIdempotency().WithName("CreateTask").WithSummary("Starts work in the background")
            .ProducesProblem(400).ProducesProblem(403).ProducesProblem(404);
        tasks.MapGet("/", ListAsync).WithName("ListTasks").WithSummary("The caller's tasks, newest first").ProducesProblem(400);
        tasks.MapGet("/{id}", GetAsync).WithName("GetTask").WithSummary("One task with its progress, result or error");
        tasks.MapGet("/{id}/events", EventsAsync).Streams().WithName("GetTaskEvents").WithSummary("The task's state now and at every change, until it ends; goes on after Last-Event-ID")
            .Produces(200, contentType: "text/event-stream").Produces(204).ProducesProblem(404);
        tasks.MapGet("/{id}/file", FileAsync).RequireAuthorization(Policies.MemoryRead).Streams().LimitAs(LimitKind.Upload).WithName("GetTaskFile")
            .WithSummary("The file that a task made: memories that were exported")
            .Produces(200, contentType: "application/json").ProducesProblem(404);
        tasks.MapPost("/{id}/cancel", CancelAsync).WithIdempotency().WithName("CancelTask").WithSummary("Cancels what waits and asks what runs to stop; no error when it has ended");
        tasks.MapPost("/{id}/replay", ReplayAsync).WithIdempotency().WithName("ReplayTask").WithSummary("Puts a failed, dead or cancelled task back with fresh attempts").ProducesProblem(409);
    }

    private static async Task<Results<AcceptedAtRoute<BackgroundTask>, ProblemHttpResult>> CreateAsync(
        CreateTaskRequest request, HttpContext context, Caller caller, DurableQueue queue, DocumentStore documents, CancellationToken ct)
    {
        TaskKinds.Validate(request.Kind, request.Input);
        TaskAccess.Check(caller, request.Kind, request.Input);
        if (Math.Abs((int)request.Priority) > MaxPriority)
            return Problem.Invalid("priority", $"priority is -{MaxPriority} to {MaxPriority}.");
        Guid? id = request.Kind == TaskKinds.Ingest
            ? (await documents.RetryAsync(caller.Owner, TaskKinds.Read<IngestAgain>(request.Input).DocumentId, ct, request.Priority))?.Value
            : await queue.EnqueueAsync(
                new QueuedTask(caller.Owner.Value, request.Kind, TaskKinds.ForKey(request.Kind, request.Input, caller.KeyId))
                {
                    Id = IdempotencyKey.DeriveId(context),
                    Priority = request.Priority,
                },
                ct);
        return id is { } known && await queue.GetAsync(caller.Owner.Value, known, ct) is { } task
            ? TypedResults.AcceptedAtRoute(Show(task), "GetTask", new { id = known })
            : Problem.NotFound("document");
    }

    private static async Task<Results<Ok<Page<BackgroundTask>>, ProblemHttpResult>> ListAsync(
        Caller caller, DurableQueue queue, CancellationToken ct, int limit = 50, string? cursor = null, string? status = null)
    {
        if (limit is < 1 or > MaxPage)
            return Problem.Invalid("limit", $"limit is 1 to {MaxPage}.");
        if (status is not null && !Statuses.Contains(status))
            return Problem.Invalid("status", $"status is one of {string.Join(", ", Statuses)}.");
        (DateTimeOffset At, Guid Id)? before = null;
        if (cursor is not null && !TimeCursor.TryParse(cursor, out before))
            return Problem.Result(StatusCodes.Status400BadRequest, "invalid_cursor", "The cursor is not one that this listing gave out.");
        var rows = await queue.ListAsync(caller.Owner.Value, status, before, limit + 1, ct);
        var page = TimeCursor.Page(rows, limit, task => (task.CreatedAt, task.Id));
        return TypedResults.Ok(new Page<BackgroundTask>([.. page.Items.Select(Show)], page.NextCursor));
    }

    private static async Task<Results<Ok<BackgroundTask>, ProblemHttpResult>> GetAsync(string id, Caller caller, DurableQueue queue, CancellationToken ct) =>
        await FindAsync(id, caller, queue, ct) is { } task ? TypedResults.Ok(Show(task)) : Problem.NotFound("task");

    /// <summary>204 for a client that has seen the end already: browsers come back after every end of a stream until they are told that there is no more.</summary>
    private static async Task<Results<ServerSentEventsResult<BackgroundTask>, NoContent, ProblemHttpResult>> EventsAsync(
        string id, HttpContext context, Caller caller, DurableQueue queue, IHostApplicationLifetime lifetime, CancellationToken ct)
    {
        if (await FindAsync(id, caller, queue, ct) is not { } task)
            return Problem.NotFound("task");
        var seen = context.Request.Headers["Last-Event-ID"].ToString();
        return task.EndedAt is not null && seen == EventId(Show(task))
            ? TypedResults.NoContent()
            : TypedResults.ServerSentEvents(WatchAsync(caller.Owner.Value, task.Id, seen, queue, lifetime.ApplicationStopping, ct));
    }

    private static async Task FileAsync(string id, Caller caller, TaskFiles files, HttpContext context, CancellationToken ct)
    {
        if (!TaskId.TryParse(id, null, out var task) || await files.SizeAsync(caller.Owner.Value, task.Value, ct) is not { } size)
            throw new ProblemException(StatusCodes.Status404NotFound, "not_found", "There is no such task, or it made no file.");
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.ContentLength = size;
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"agentflow-task-{task.Value:N}.json\"";
        context.Response.Headers.CacheControl = "no-store";
        await foreach (var bytes in files.ReadAsync(caller.Owner.Value, task.Value, ct))
            await context.Response.BodyWriter.WriteAsync(bytes, ct);
    }

    private static async Task<Results<Ok<BackgroundTask>, ProblemHttpResult>> CancelAsync(string id, Caller caller, DurableQueue queue, CancellationToken ct)
    {
        if (await FindAsync(id, caller, queue, ct) is not { } task)
            return Problem.NotFound("task");
        await queue.CancelAsync(caller.Owner.Value, task.Id, ct);
        return TypedResults.Ok(Show(await queue.GetAsync(caller.Owner.Value, task.Id, ct) ?? task));
    }

    private static async Task<Results<Ok<BackgroundTask>, ProblemHttpResult>> ReplayAsync(string id, Caller caller, DurableQueue queue, CancellationToken ct)
    {
        if (await FindAsync(id, caller, queue, ct) is not { } task)
            return Problem.NotFound("task");
        if (task.Kind == TaskKinds.Ingest)
            return Problem.Result(StatusCodes.Status409Conflict, "not_replayable", "A document is tried again by POST /api/documents/{id}/retry.");
        TaskAccess.Check(caller, task.Kind, task.Input);
        return await queue.ReplayAsync(caller.Owner.Value, task.Id, ct)
            ? TypedResults.Ok(Show(await queue.GetAsync(caller.Owner.Value, task.Id, ct) ?? task))
            : Problem.Result(StatusCodes.Status409Conflict, "not_replayable", "Only a failed, dead or cancelled task can be put back.");
    }

    private static Task<TaskRecord?> FindAsync(string id, Caller caller, DurableQueue queue, CancellationToken ct) =>
        TaskId.TryParse(id, null, out var task) ? queue.GetAsync(caller.Owner.Value, task.Value, ct) : Task.FromResult<TaskRecord?>(null);

    private static async IAsyncEnumerable<SseItem<BackgroundTask>> WatchAsync(
        Guid owner, Guid id, string seen, DurableQueue queue, CancellationToken stopping, [EnumeratorCancellation] CancellationToken ct)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(ct, stopping);
        var changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        using var subscription = queue.OnChange(changed =>
        {
            if (changed is null || changed == id)
                changes.Writer.TryWrite(true);
        });
        while (await queue.GetAsync(owner, id, ends.Token) is { } task)
        {
            var state = Show(task);
            var number = EventId(state);
            if (number != seen)
                yield return new SseItem<BackgroundTask>(state, "task") { EventId = number };
            seen = number;
            if (task.EndedAt is not null)
                yield break;
            await WaitAsync(changes.Reader, ends.Token);
        }
    }

    private static async Task WaitAsync(ChannelReader<bool> changes, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(PollInterval);
        try
        {
            await changes.ReadAsync(limit.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // Nobody told of a change: look anyway.
        }
    }

    /// <summary>Names what the event says, so that a client which comes back is told only what is new.</summary>
    private static string EventId(BackgroundTask state) =>
        Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(state, ContractJson.Options)).AsSpan(0, 8));

    private static BackgroundTask Show(TaskRecord task) => new()
    {
        Id = new TaskId(task.Id),
        Kind = task.Kind,
        Status = Enum.Parse<BackgroundTaskStatus>(task.Status, ignoreCase: true),
        Progress = Math.Round(task.Progress, 3),
        Step = task.Step,
        Priority = task.Priority,
        Attempts = task.Attempts,
        Result = task.Result,
        Error = task.Error,
        CreatedAt = task.CreatedAt,
        StartedAt = task.StartedAt,
        EndedAt = task.EndedAt,
    };
}
