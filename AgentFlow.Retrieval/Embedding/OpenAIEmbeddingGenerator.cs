using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.AI;

namespace AgentFlow.Retrieval.Embedding;

/// <summary>
/// Embeddings of any server that speaks OpenAI's <c>POST /embeddings</c>. What it answers is checked: one vector for each text, by its index,
/// of the configured length, every number finite; anything else refuses the whole batch. Thread-safe.
/// </summary>
public sealed class OpenAIEmbeddingGenerator(HttpClient http, EmbeddingServer settings) : IEmbeddingGenerator<string, Embedding<float>>
{
    /// <summary>OpenAI takes 8,191 tokens for each text; longer ones are embedded by their beginning, and found by all of their words.</summary>
    private const int MaxCharacters = 24_000;

    /// <returns>In the order of the texts.</returns>
    /// <exception cref="HttpRequestException">The server is not there, refused, or did not answer in the form that was asked for.</exception>
    /// <exception cref="TimeoutException">No answer within <see cref="EmbeddingServer.Timeout"/>.</exception>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        var generated = new GeneratedEmbeddings<Embedding<float>>();
        foreach (var texts in values.Chunk(settings.BatchSize))
            generated.AddRange((await AskAsync(texts, cancellationToken)).Select(vector => new Embedding<float>(vector) { ModelId = settings.Model }));
        return generated;
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType?.IsInstanceOfType(this) == true ? this : null;

    public void Dispose() => http.Dispose();

    private async Task<float[][]> AskAsync(string[] texts, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(settings.Timeout);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(settings.Endpoint, "embeddings"))
            {
                Content = JsonContent.Create(new Question(settings.Model, [.. texts.Select(Cut)], settings.AskedDimensions)),
            };

            // With its length: some servers and gateways take no chunked body.
            await request.Content.LoadIntoBufferAsync(limit.Token);
            if (!string.IsNullOrEmpty(settings.ApiKey))
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", settings.ApiKey);
            using var response = await http.SendAsync(request, limit.Token);
            response.EnsureSuccessStatusCode();
            return Check(await response.Content.ReadFromJsonAsync<Answer>(limit.Token), texts.Length);
        }
        catch (OperationCanceledException error) when (!ct.IsCancellationRequested)
        {
            throw new TimeoutException($"The embedder did not answer within {settings.Timeout}.", error);
        }
        catch (JsonException error)
        {
            throw new HttpRequestException("The embedder's answer can not be read.", error);
        }
    }

    private float[][] Check(Answer? answer, int count)
    {
        var vectors = new float[count][];
        foreach (var item in answer?.Data ?? [])
        {
            if (item.Index < 0 || item.Index >= count || vectors[item.Index] is not null)
                throw new HttpRequestException($"The embedder answered index {item.Index} for {count} texts.");
            if (item.Vector.Length != settings.Dimensions || !item.Vector.All(float.IsFinite))
                throw new HttpRequestException($"The embedder answered {item.Vector.Length} numbers, or such that are not finite, where {settings.Dimensions} are configured.");
            vectors[item.Index] = item.Vector;
        }

        return vectors.All(vector => vector is not null) ? vectors : throw new HttpRequestException($"The embedder left out some of {count} texts.");
    }

    private static string Cut(string text) => text.Length <= MaxCharacters ? text : text[..(char.IsHighSurrogate(text[MaxCharacters - 1]) ? MaxCharacters - 1 : MaxCharacters)];

    private sealed record Question(
        [property: JsonPropertyName("model")] string Model,
        [property: JsonPropertyName("input")] string[] Input,
        [property: JsonPropertyName("dimensions"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Dimensions)
    {
        [JsonPropertyName("encoding_format")]
        public string Format => "float";
    }

    // Raw: {"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.01,-0.2]}],"model":"text-embedding-3-small"}
    private sealed record Answer([property: JsonPropertyName("data")] IReadOnlyList<Item>? Data);

    private sealed record Item([property: JsonPropertyName("index")] int Index, [property: JsonPropertyName("embedding")] float[] Vector);
}
