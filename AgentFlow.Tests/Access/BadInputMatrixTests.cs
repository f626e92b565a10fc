using System.Reflection;
using AgentFlow.Tests.ApiService.Documents;
using AgentFlow.Tests.ApiService.Edges;
using AgentFlow.Tests.ApiService.Identity;
using AgentFlow.Tests.ApiService.Limits;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.ApiService.Sockets;
using AgentFlow.Tests.EndToEnd;
using AgentFlow.Tests.ServiceDefaults.Http;
using AgentFlow.Tests.ServiceDefaults.Idempotency;
using AgentFlow.Tests.Web.Edges;
using AgentFlow.Tests.Web.Markdown;

namespace AgentFlow.Tests.Access;

/// <summary>The 55 rows of the bad-input matrix and the test that proves each. A row without a test, or a test that is gone, fails here. Names may be beginnings.</summary>
public sealed class BadInputMatrixTests
{
    private const int Rows = 55;

    private static readonly (string Rows, Type Class, string[] Tests)[] Proofs =
    [
        ("1-4 6 9 10 12", typeof(BadInputTests), [nameof(BadInputTests.Bodies_that_are_not_what_the_route_takes)]),
        ("5 6 9 26 41", typeof(BadInputTests), [nameof(BadInputTests.Numbers_limits_and_filters_of_a_search)]),
        ("7 8 11", typeof(BadInputTests), [nameof(BadInputTests.Media_types_and_charsets)]),
        ("12", typeof(BadInputTests), [nameof(BadInputTests.A_chunked_body_over_the_limit_is_cut)]),
        ("13", typeof(BadInputTests), [nameof(BadInputTests.Compressed_bodies_are_not_unpacked)]),
        ("14-23 27 28 30", typeof(BadInputTests), [nameof(BadInputTests.Requests_that_no_client_library_would_send)]),
        ("23-26 51", typeof(BadInputTests), [nameof(BadInputTests.Ids_queries_and_cursors)]),
        ("29", typeof(BadInputTests), [nameof(BadInputTests.A_clear_text_http2_preface_is_turned_away)]),
        ("31 32", typeof(BadInputTests), [nameof(BadInputTests.Slow_requests_are_cut_and_idle_connections_are_capped)]),
        ("33-36", typeof(DocumentEndpointsTests), ["Files_that_cannot_be_taken", "Bodies_that_are_no_upload", "Content_is_a_download"]),
        ("33-38", typeof(HostileFileTests), ["Row33_", "Row34_and_35_", "Row36_", "Row37_", "Row38_"]),
        ("37 38", typeof(LimitedProcessTests), ["The_kernel_holds_it", "Memory_over_the_limit", "It_is_ended_when"]),
        ("37 38", typeof(FormatTests), ["Bomb_", "Files_that_cannot_be_read", "Parser_that_is_kept_busy"]),
        ("39", typeof(BadInputTests), [nameof(BadInputTests.No_route_writes_a_table_that_a_spreadsheet_would_calculate)]),
        ("40 42", typeof(BadInputTests), [nameof(BadInputTests.Metacharacters_are_literal_text)]),
        ("42", typeof(BadInputTests), [nameof(BadInputTests.Long_patterns_are_looked_for_as_text)]),
        ("40", typeof(SqlLiteralTests), [nameof(SqlLiteralTests.Metacharacters_in_any_string_of_a_request_never_become_a_statement), nameof(SqlLiteralTests.What_is_accepted_comes_back_as_it_was), nameof(SqlLiteralTests.The_memory_service_takes_them_as_text_in_all_its_dialects)]),
        ("40", typeof(MutationTests), [nameof(MutationTests.No_spoiled_request_is_answered_with_a_failure_of_ours)]),
        ("41", typeof(BadInputTests), [nameof(BadInputTests.A_filter_in_anothers_language_is_refused)]),
        ("43", typeof(HostileTokenTests), [nameof(HostileTokenTests.Every_malformed_token_is_401_and_makes_no_request)]),
        ("44", typeof(AuthEndpointsTests), [nameof(AuthEndpointsTests.A_key_opens_what_its_scopes_say_until_it_is_revoked)]),
        ("44", typeof(HostileTokenTests), [nameof(HostileTokenTests.A_good_token_beside_a_second_credential_or_in_the_address_is_refused)]),
        ("45", typeof(EdgePipelineTests), [nameof(EdgePipelineTests.Spoofed_addresses_share_the_real_ones_bucket), nameof(EdgePipelineTests.Browsers_behind_our_Web_have_a_bucket_each_and_nobody_else_can_claim_one)]),
        ("45", typeof(RateQuotaTests), [nameof(RateQuotaTests.A_hundred_thousand_names_keep_the_number_of_partitions_bounded_and_share_what_is_left)]),
        ("46", typeof(ChatSocketTests), ["A_ticket_opens_one_socket"]),
        ("47 50", typeof(ChatSocketTests), ["A_frame_that_can_not_be_meant"]),
        ("48-50", typeof(FrameGuardTests), [nameof(FrameGuardTests.Frames_that_can_not_be_end_the_socket_with_their_reason)]),
        ("46 47 50", typeof(HostileSocketTests), ["Row46_", "Row47_", "Row50_of_a_thousand", "Row50_a_message_before", "Row50_a_socket_ends"]),
        ("46", typeof(WebEdgeTests), [nameof(WebEdgeTests.Circuits_are_opened_by_pages_of_this_origin_only)]),
        ("51", typeof(BadInputTests), [nameof(BadInputTests.Places_in_a_log_that_name_none_are_refused)]),
        ("51", typeof(RunEndpointsTests), ["Places_that_are_not_in_the_log"]),
        ("52", typeof(IdempotencyTests), [nameof(IdempotencyTests.Another_body_is_refused_and_another_owner_is_independent), nameof(IdempotencyTests.Keys_that_are_no_keys), nameof(IdempotencyTests.A_key_of_256_characters_is_too_long_and_quotes_do_not_count)]),
        ("53", typeof(HostileFileTests), ["Row53_"]),
        ("53", typeof(PublicFetchTests), [nameof(PublicFetchTests.Of_a_body_without_an_end_no_more_is_read_than_the_cap), nameof(PublicFetchTests.No_spelling_of_a_private_address_is_dialled_directly_by_redirect_or_by_rebinding), nameof(PublicFetchTests.Answers_that_are_too_much_are_refused), nameof(PublicFetchTests.A_server_that_says_nothing_or_a_byte_now_and_then_is_left_after_the_time_limit)]),
        ("54", typeof(HostileContentTests), [nameof(HostileContentTests.Nothing_that_is_shown_runs_or_calls_another_host)]),
        ("54", typeof(MarkdownViewTests), [nameof(MarkdownViewTests.Hostile_texts_come_out_inert)]),
        ("55", typeof(EdgePipelineTests), [nameof(EdgePipelineTests.Refusals_are_logged_without_the_address_bars_content)]),
    ];

    [Fact]
    public void Every_row_has_its_test()
    {
        Assert.Empty(Enumerable.Range(1, Rows).Except(Proofs.SelectMany(proof => Numbers(proof.Rows))));
        Assert.All(Proofs.SelectMany(proof => proof.Tests.Select(test => (proof.Class, Name: test))), test =>
        {
            var facts = test.Class.GetMethods().Where(method => method.Name.StartsWith(test.Name, StringComparison.Ordinal)).Select(method => method.GetCustomAttribute<FactAttribute>());
            Assert.Contains(facts, fact => fact is { Skip: null });
        });
    }

    /// <summary><c>1-4 6</c> is 1, 2, 3, 4, 6.</summary>
    private static IEnumerable<int> Numbers(string rows) => rows.Split(' ').Select(part => part.Split('-').Select(int.Parse).ToArray()).SelectMany(ends => Enumerable.Range(ends[0], ends[^1] - ends[0] + 1));
}
