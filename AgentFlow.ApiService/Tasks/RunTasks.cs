using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AgentFlow.ApiService.Chat;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.ApiService.Tasks;

/// <summary>One turn of an agent in the background. Attempts share one run by its idempotency key: a question is asked once.</summary>
internal sealed class RunTask(BackgroundTurns turns) : ITaskHandler
{
    public string Kind => TaskKinds.Run;

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        var input = TaskKinds.Read<WaitingRun>(context.Input);
        await context.ReportAsync(0, "Answering", ct);
        var answer = await turns.AskAsync(context, 0, input, ct);
        return answer.Error is null
            ? JsonSerializer.SerializeToElement(answer, ContractJson.Options)
            : throw new TaskFailedException(answer.Error);
    }
}

/// <summary>A list of questions, each in a conversation of its own; one that fails does not stop the others.</summary>
internal sealed class QuestionsTask(BackgroundTurns turns) : ITaskHandler
{
    public string Kind => TaskKinds.Questions;

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        var input = TaskKinds.Read<WaitingQuestions>(context.Input);
        var answers = new List<AnsweredQuestion>(input.Questions.Count);
        for (var i = 0; i < input.Questions.Count; i++)
        {
            await context.ReportAsync((double)i / input.Questions.Count, string.Create(CultureInfo.InvariantCulture, $"Question {i + 1} of {input.Questions.Count}"), ct);
            answers.Add(await turns.AskAsync(context, i, new WaitingRun(input.Questions[i], input.Agent, input.Model, KeyId: input.KeyId), ct));
        }

        return JsonSerializer.SerializeToElement(new { answers }, ContractJson.Options);
    }
}

/// <summary>Starts runs for tasks and waits for their ends.</summary>
internal sealed class BackgroundTurns(RunStarter starter, Answers answers)
{
    /// <param name="context">The task; with the ordinal it names the run, so that an attempt repeated finds the run of the one before.</param>
    /// <param name="ordinal">Of the question within its task.</param>
    /// <param name="turn">What is asked.</param>
    /// <param name="ct">Stops the waiting and the run.</param>
    public async Task<AnsweredQuestion> AskAsync(TaskContext context, int ordinal, WaitingRun turn, CancellationToken ct)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"task:{context.Id:N}:{ordinal}");
        var request = new RunRequest
        {
            Owner = new OwnerId(context.OwnerId),
            Question = turn.Message,
            ConversationId = turn.ConversationId,
            Agent = turn.Agent,
            Model = turn.Model,
            IsStreamed = false,
            WhileRunning = WhileRunning.Enqueue,
            KeyId = turn.KeyId,
            Idempotency = new IdempotencyKey(key, SHA256.HashData(Encoding.UTF8.GetBytes(turn.Message))),
        };
        try
        {
            var ticket = await starter.StartAsync(request, ct);
            var answer = await answers.WaitAsync(request, ticket, answers.Begin(), OnDisconnect.Cancel, ct);
            return new AnsweredQuestion(turn.Message, answer.RunId, answer.ConversationId, answer.Answer);
        }
        catch (ProblemException problem) when (IsFinal(problem, turn))
        {
            return new AnsweredQuestion(turn.Message, Error: problem.Message);
        }
    }

    /// <summary>What another attempt does not change. A model that the task names and nobody offers is a mistake in the task; otherwise one may come.</summary>
    private static bool IsFinal(ProblemException problem, WaitingRun turn) =>
        problem.Status is not (StatusCodes.Status503ServiceUnavailable or StatusCodes.Status429TooManyRequests) || (problem.Code == "model_not_configured" && turn.Model is not null);
}
