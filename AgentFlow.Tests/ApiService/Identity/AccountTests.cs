using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.Tests.Access;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Tests.ApiService.Identity;

/// <summary>A person takes everything along, and leaves nothing behind.</summary>
public sealed class AccountTests(FullHost full) : IClassFixture<FullHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_export_holds_all_that_is_the_accounts_and_no_secret_and_nothing_of_others()
    {
        var mine = await Belongings.MakeAsync(await full.Api.RegisterAsync("exporter"));
        var other = await full.Api.RegisterAsync("neighbour");
        using var response = await mine.Owner.Client.GetAsync("/api/auth/me/export", Ct);
        var text = await response.Content.ReadAsStringAsync(Ct);
        var export = JsonElement.Parse(text);

        Assert.Equal((HttpStatusCode.OK, "attachment"), (response.StatusCode, response.Content.Headers.ContentDisposition?.DispositionType));
        var tables = export.GetProperty("tables");
        foreach (var (table, id) in new[] { ("users", mine.Owner.Id.Value), ("conversations", mine.Conversation), ("runs", mine.Run), ("documents", mine.Document), ("collections", mine.Collection), ("api_keys", mine.Key) })
        {
            Assert.Contains(tables.GetProperty(table).EnumerateArray(), row => row.GetRawText().Contains(id.ToString(), StringComparison.Ordinal));
        }

        Assert.Contains(Belongings.Canary, tables.GetProperty("messages").GetRawText(), StringComparison.Ordinal);
        Assert.Contains(mine.Memory.ToString(), export.GetProperty("memories").GetRawText(), StringComparison.Ordinal);
        foreach (var secret in new[] { "password_hash", "key_hash", "token_hash", ApiHost.Password, mine.Owner.Tokens.RefreshToken, other.Id.ToString(), other.Email })
        {
            Assert.DoesNotContain(secret, text, StringComparison.Ordinal);
        }

        using var key = await mine.Owner.KeyClientAsync("read", "write");
        Assert.Equal(HttpStatusCode.Forbidden, (await key.GetAsync("/api/auth/me/export", Ct)).StatusCode);
    }

    [Fact]
    public async Task Without_the_memory_service_there_is_no_half_export()
    {
        await using var alone = await ApiHost.StartAsync([]);
        using var response = await alone.Admin.Client.GetAsync("/api/auth/me/export", Ct);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal("memory_unavailable", JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct)).GetProperty("code").GetString());
    }

    [Fact]
    public async Task An_account_that_ends_itself_needs_its_password_and_is_gone_from_every_table()
    {
        var leaving = await Belongings.MakeAsync(await full.Api.RegisterAsync("leaving"));
        using var wrong = await EraseAsync(leaving.Owner, "not my password at all");
        Assert.Equal(HttpStatusCode.Forbidden, wrong.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await leaving.Owner.Client.GetAsync("/api/auth/me", Ct)).StatusCode);
        using var key = await leaving.Owner.KeyClientAsync("read", "write");

        using var accepted = await EraseAsync(leaving.Owner, ApiHost.Password);

        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        foreach (var client in new[] { leaving.Owner.Client, key })
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await client.GetAsync("/api/documents", Ct)).StatusCode);
        }

        var receipt = await FinishedAsync(accepted.Headers.Location!);
        Assert.Equal("succeeded", receipt.Status);
        Assert.True(receipt.Rows >= 10, $"{receipt.Rows}");
        Assert.True(receipt.Memories >= 1, $"{receipt.Memories}");
        Assert.Empty(await TablesWithAsync(full.Api.ConnectionString, "agentflow_api", leaving.Owner.Id.Value));
        using var anonymous = full.Api.Client();
        Assert.Equal(HttpStatusCode.NotFound, (await anonymous.GetAsync($"/api/auth/erasures/{Guid.CreateVersion7()}", Ct)).StatusCode);
    }

    [Fact]
    public async Task The_last_administrator_can_not_leave()
    {
        using var refused = await EraseAsync(full.Api.Admin, ApiHost.Password);

        Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await full.Api.Admin.Client.GetAsync("/api/auth/me", Ct)).StatusCode);
    }

    private static Task<HttpResponseMessage> EraseAsync(TestUser user, string password) =>
        user.Client.PostAsJsonAsync("/api/auth/me/erase", new AccountErasureRequest { Password = password }, ContractJson.Options, Ct);

    private async Task<AccountErasureReceipt> FinishedAsync(Uri location)
    {
        using var client = full.Api.Client();
        for (var i = 0; i < 600; i++)
        {
            var receipt = await client.GetFromJsonAsync<AccountErasureReceipt>(location, ContractJson.Options, Ct);
            if (receipt!.FinishedAt is not null)
            {
                return receipt;
            }

            await Task.Delay(100, Ct);
        }

        throw new TimeoutException("The erasure did not end.");
    }

    /// <summary>Every table in which a row names the owner, but for the audit log, which stays, and the receipt.</summary>
    private static async Task<List<string>> TablesWithAsync(string connectionString, string schema, Guid owner)
    {
        await using var database = NpgsqlDataSource.Create(connectionString);
        var names = new List<string>();
        await using (var list = database.CreateCommand("select table_name from information_schema.tables where table_schema = $1 and table_type = 'BASE TABLE' and table_name not in ('audit_log', 'tasks')"))
        {
            list.Parameters.AddWithValue(schema);
            await using var reader = await list.ExecuteReaderAsync(Ct);
            while (await reader.ReadAsync(Ct))
            {
                names.Add(reader.GetString(0));
            }
        }

        var found = new List<string>();
        foreach (var name in names)
        {
            await using var count = database.CreateCommand($"select count(*) from {schema}.\"{name}\" t where position($1 in row_to_json(t)::text) > 0");
            count.Parameters.AddWithValue(owner.ToString());
            if ((long)(await count.ExecuteScalarAsync(Ct))! > 0)
            {
                found.Add(name);
            }
        }

        return found;
    }
}
