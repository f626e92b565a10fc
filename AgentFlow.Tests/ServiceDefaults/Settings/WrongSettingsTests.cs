using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using AgentFlow.ServiceDefaults.Hosting;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentFlow.Tests.ServiceDefaults.Settings;

/// <summary>
/// Whatever option is given a wrong value, the message names its key, the value (unless it is a secret) and what is allowed. The cases come
/// from the options classes themselves; a new text option must be added to one of the two lists below.
/// </summary>
public sealed class WrongSettingsTests
{
    private static readonly Dictionary<string, string> WrongTexts = new(StringComparer.Ordinal)
    {
        ["Auth:Keys"] = "k1:0123",
        ["Auth:SetupToken"] = "abababab",
        ["Agents:Path"] = "/nowhere",
        ["Cors:Origins:<n>"] = "app.example.org",
        ["Edges:TrustedProxies:<n>"] = "nearby",
        ["Fetch:AllowedNetworks:<n>"] = "inside",
        ["Models:Providers:<n>:Endpoint"] = "ftp://models.example.org",
        ["Models:Providers:<n>:Model"] = " ",
        ["Models:Providers:<n>:Roles:<n>"] = "poet",
        ["Tools:Mcp:<name>:Endpoint"] = "nowhere",
    };

    private static readonly string[] AnyText =
        ["Models:Providers:<n>:Name", "Models:Providers:<n>:ApiKey", "Tools:Mcp:<name>:Command", "Tools:Mcp:<name>:Arguments:<n>", "Tools:Mcp:<name>:ApiKey"];

    private static readonly Dictionary<string, string?> RightSettings = new(StringComparer.Ordinal)
    {
        ["ConnectionStrings:agentflow-api"] = "Host=127.0.0.1;Port=1;Database=none",
        ["ConnectionStrings:agentflow-memory"] = "Host=127.0.0.1;Port=1;Database=none",
        ["services:memory:http:0"] = "http://127.0.0.1:9",
        ["Auth:Keys"] = Support.ApiHost.Keys,
    };

    private readonly OneMore _oneMore = new();

    [Fact]
    public async Task Every_wrong_value_is_refused_by_key_value_and_cure()
    {
        await using var api = global::AgentFlow.ApiService.Program.Build([], ConfigureWithOneMore);
        await using var memory = global::AgentFlow.MemoryService.MemoryServiceApplication.Build([], ConfigureWithOneMore);
        var accepted = new List<string>();
        var cases = 0;
        foreach (var option in OptionCatalog.All)
        {
            var services = new[] { (Project: "AgentFlow.ApiService", App: api), (Project: "AgentFlow.MemoryService", App: memory) }
                .Where(each => (option.Project == "AgentFlow.ServiceDefaults" || option.Project == each.Project) && IsConfigured(each.App, option.Root)).ToList();
            Assert.True(services.Count > 0, $"No service has {option.Key}");
            foreach (var value in WrongValues(option))
            {
                cases += services.Count;
                accepted.AddRange(services.Select(each => Fault(option, value, Start(each.App, option, value))).OfType<string>());
            }
        }

        Assert.Empty(accepted);
        Assert.InRange(cases, 200, int.MaxValue);
    }

    [Fact]
    public void Every_text_option_is_either_checked_or_free()
    {
        var texts = OptionCatalog.All.Where(option => option.ValueType == typeof(string)).Select(option => option.Key).Distinct(StringComparer.Ordinal);
        Assert.Equal(texts.Order(StringComparer.Ordinal), WrongTexts.Keys.Concat(AnyText).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")]
    [InlineData("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier pigeon")]
    [InlineData("OTEL_TRACES_SAMPLER", "sometimes")]
    [InlineData("OTEL_TRACES_SAMPLER_ARG", "2")]
    [InlineData("urls", "localhost")]
    [InlineData("Logging:LogLevel:Default", "loud")]
    [InlineData("QDRANT_URL", "ftp://vectors")]
    [InlineData("OPENAI_BASE_URL", "models")]
    [InlineData("services:memory:http:0", "memory")]
    [InlineData("ConnectionStrings:agentflow-api", "Colour=blue", "connection string")]
    [InlineData("ConnectionStrings:qdrant_http", "Colour=blue", "Endpoint=http://host:6333")]
    public async Task A_wrong_setting_of_the_surroundings_is_refused(string key, string value, string? hiddenBut = null)
    {
        var message = await Assert.ThrowsAsync<SettingException>(async () =>
        {
            await using var app = global::AgentFlow.ApiService.Program.Build([], builder =>
            {
                Configure(builder);
                builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>(StringComparer.Ordinal) { [key] = value });
            });
            app.Services.GetRequiredService<IStartupValidator>().Validate();
        });
        Assert.StartsWith(key + ":", message.Message, StringComparison.Ordinal);
        Assert.Contains(hiddenBut ?? $"'{value}'", message.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("AgentFlow.ApiService", "Runs__KeepAlive", "soon", "Can not start: Runs:KeepAlive: found 'soon', which is no time as d.hh:mm:ss.")]
    [InlineData("AgentFlow.MemoryService", "Memory__DecayFloor", "2", "Can not start: Memory:DecayFloor: found '2'. The field DecayFloor must be between 0 and 1.")]
    [InlineData("AgentFlow.Web", "services__api__http__0", "api", "Can not start: services:api:http:0: found 'api'. Write an absolute http or https address")]
    public async Task A_process_ends_with_the_message_and_without_a_trace(string service, string key, string value, string expected)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, service)) { RedirectStandardError = true, RedirectStandardOutput = true, UseShellExecute = false };
        foreach (var (name, right) in RightSettings)
            start.Environment[name.Replace(":", "__", StringComparison.Ordinal)] = right;
        start.Environment["ASPNETCORE_URLS"] = "http://127.0.0.1:0";
        start.Environment[key] = value;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(ServiceProcess.ConfigurationError, process.ExitCode);
        Assert.StartsWith(expected, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error + await output, StringComparison.Ordinal);
    }

    private void ConfigureWithOneMore(WebApplicationBuilder builder)
    {
        Configure(builder);
        builder.Configuration.Sources.Add(_oneMore);
    }

    private static void Configure(WebApplicationBuilder builder) => builder.Configuration.AddInMemoryCollection(RightSettings);

    private static bool IsConfigured(WebApplication app, Type options) => app.Services.GetServices(typeof(IConfigureOptions<>).MakeGenericType(options)).Any();

    /// <summary>What making the options says when one key more is set; null when nothing is said.</summary>
    private string? Start(WebApplication app, Option option, string value)
    {
        _oneMore.Write(option.Written, value);
        try
        {
            var factory = typeof(IOptionsFactory<>).MakeGenericType(option.Root);
            factory.GetMethod(nameof(IOptionsFactory<object>.Create))!.Invoke(app.Services.GetRequiredService(factory), BindingFlags.DoNotWrapExceptions, null, [Options.DefaultName], null);
            return null;
        }
        catch (Exception refused) when (refused is SettingException or OptionsValidationException)
        {
            return refused.Message;
        }
    }

    private static string? Fault(Option option, string value, string? message)
    {
        var name = option.Written.EndsWith(":0", StringComparison.Ordinal) ? option.Written[..^2] : option.Written;
        var isSecret = option.ValueType == typeof(string) && OptionRules.Show(option.Written, value) == "(hidden)";
        return message is null ? $"{option.Written}={value} is accepted"
            : !message.Contains(name, StringComparison.Ordinal) ? $"{option.Written}={value} is refused without its key: {message}"
            : message.Contains(value, StringComparison.Ordinal) == isSecret && value != " " ? $"{option.Written}={value}: {(isSecret ? "the secret is told" : "the value is not told")}: {message}"
            : null;
    }

    /// <summary>Another type's value, and one below and above the range.</summary>
    private static IEnumerable<string> WrongValues(Option option)
    {
        if (option.ValueType == typeof(string))
            return WrongTexts.TryGetValue(option.Key, out var wrong) ? [wrong] : [];
        var range = option.Property.GetCustomAttribute<RangeAttribute>();
        if (range is null)
        {
            Assert.True(option.ValueType == typeof(bool) || option.ValueType.IsEnum || option.Key == "Models:Providers:<n>:Priority", $"{option.Key} has no range");
            return option.ValueType.IsEnum ? ["sometimes", "99"] : ["perhaps"];
        }

        if (option.ValueType == typeof(TimeSpan))
        {
            var (least, most) = (TimeSpan.Parse((string)range.Minimum, CultureInfo.InvariantCulture), TimeSpan.Parse((string)range.Maximum, CultureInfo.InvariantCulture));
            return ["soon", (least - TimeSpan.FromMilliseconds(1)).ToString(), (most + TimeSpan.FromMilliseconds(1)).ToString()];
        }

        var (min, max) = (Convert.ToDecimal(range.Minimum, CultureInfo.InvariantCulture), (decimal)Math.Min(Convert.ToDouble(range.Maximum, CultureInfo.InvariantCulture), 1e27));
        return ["many", (min - 1).ToString(CultureInfo.InvariantCulture), (max + 1).ToString(CultureInfo.InvariantCulture)];
    }

    /// <summary>One setting above all others, another one from case to case; nothing is told to reload.</summary>
    private sealed class OneMore : ConfigurationProvider, IConfigurationSource
    {
        public void Write(string key, string value)
        {
            Data.Clear();
            Data[key] = value;
        }

        public IConfigurationProvider Build(IConfigurationBuilder builder) => this;
    }
}
