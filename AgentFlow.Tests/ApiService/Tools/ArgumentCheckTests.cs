using System.Text.Json;
using AgentFlow.ApiService.Tools;

namespace AgentFlow.Tests.ApiService.Tools;

public sealed class ArgumentCheckTests
{
    private const string Schema = """
        {"type":"object","properties":{"query":{"type":"string","minLength":1,"maxLength":10},"topK":{"type":"integer","minimum":1,"maximum":5},
         "tags":{"type":"array","items":{"type":"string"},"maxItems":2},"mode":{"enum":["a","b"]},"deep":{"type":"object","properties":{"x":{"type":["number","null"]}},"required":["x"]}},
         "required":["query"]}
        """;

    [Theory]
    [InlineData("""{"query":"x"}""")]
    [InlineData("""{"query":"x","topK":5,"tags":["a","b"],"mode":"b","deep":{"x":null,"y":1}}""")]
    [InlineData("""{"query":"x","topK":3.0}""")]
    public void Arguments_that_fit_pass(string arguments) => Assert.Null(Fault(arguments));

    [Theory]
    [InlineData("""[]""", "arguments must be of type object.")]
    [InlineData("""{}""", "arguments.query is missing.")]
    [InlineData("""{"query":7}""", "arguments.query must be of type string.")]
    [InlineData("""{"query":""}""", "arguments.query must have at least 1 characters.")]
    [InlineData("""{"query":"12345678901"}""", "arguments.query must have at most 10 characters.")]
    [InlineData("""{"query":"a\u0000"}""", "arguments.query holds a null character.")]
    [InlineData("""{"query":"x","topK":2.5}""", "arguments.topK must be of type integer.")]
    [InlineData("""{"query":"x","topK":9}""", "arguments.topK must be at most 5.")]
    [InlineData("""{"query":"x","tags":["a",1]}""", "arguments.tags[1] must be of type string.")]
    [InlineData("""{"query":"x","tags":["a","b","c"]}""", "arguments.tags must have at most 2 items.")]
    [InlineData("""{"query":"x","mode":"c"}""", "arguments.mode must be one of [\"a\",\"b\"].")]
    [InlineData("""{"query":"x","deep":{}}""", "arguments.deep.x is missing.")]
    [InlineData("""{"query":"x","ownerId":"other"}""", "arguments.ownerId is unknown.")]
    public void The_first_fault_is_told_with_its_place(string arguments, string fault) => Assert.Equal(fault, Fault(arguments));

    [Theory]
    [InlineData("""{"oneOf":[{"required":["a"]},{"required":["b"]}]}""", """{"a":1,"b":2}""", "arguments must fit exactly one of its forms.")]
    [InlineData("""{"oneOf":[{"required":["a"]},{"required":["b"]}]}""", """{"a":1}""", null)]
    [InlineData("""{"allOf":[{"required":["a"]},{"properties":{"a":{"type":"string"}}}]}""", """{"a":1}""", "arguments.a must be of type string.")]
    [InlineData("""{"properties":{"a":{"exclusiveMinimum":0,"exclusiveMaximum":1}}}""", """{"a":0}""", "arguments.a must be more than 0.")]
    [InlineData("""{"properties":{"a":{"exclusiveMinimum":0,"exclusiveMaximum":1}}}""", """{"a":1}""", "arguments.a must be less than 1.")]
    [InlineData("""{"properties":{"a":{"exclusiveMinimum":0,"exclusiveMaximum":1}}}""", """{"a":0.5}""", null)]
    public void Forms_and_open_bounds_are_checked(string schema, string arguments, string? fault) =>
        Assert.Equal(fault, ArgumentCheck.FirstFault(JsonElement.Parse(schema), JsonElement.Parse(arguments)));

    [Theory]
    [InlineData("""{"required":"city"}""")]
    [InlineData("""{"required":[7]}""")]
    [InlineData("""{"type":7}""")]
    [InlineData("""{"type":["string",7]}""")]
    [InlineData("""{"enum":"a"}""")]
    [InlineData("""{"anyOf":{}}""")]
    [InlineData("""{"properties":{"city":{"minLength":"x"}}}""")]
    [InlineData("""{"properties":{"city":{"maxLength":1e30}}}""")]
    [InlineData("""{"properties":{"city":{"pattern":7}}}""")]
    public void A_schema_that_is_none_refuses_the_call_and_breaks_nothing(string schema) =>
        Assert.Equal("The tool's own description of its arguments can not be read; it can not be called.", ArgumentCheck.FirstFault(JsonElement.Parse(schema), JsonElement.Parse("""{"city":"Faro"}""")));

    private static string? Fault(string arguments) => ArgumentCheck.FirstFault(JsonElement.Parse(Schema), JsonElement.Parse(arguments));
}
