using System.Diagnostics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using AgentFlow.Tests.Architecture;
using AgentFlow.Tests.AppHost;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Deploy;

/// <summary>What the proxy's image makes of <c>deploy/nginx.conf.template</c> is read by the real nginx.</summary>
public sealed class NginxTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_servers_configuration_is_accepted_by_nginx()
    {
        var nginx = TwoReplicas.FindNginx();
        Assert.SkipWhen(nginx is null, "There is no nginx: apt install nginx brings it.");
        var deploy = Path.Combine(SourceTreeTests.Root, "deploy");
        WriteCertificate();

        // As the image does it, with the paths of this machine in the place of its own; upstream names are looked up while it reads.
        var server = (await File.ReadAllTextAsync(Path.Combine(deploy, "nginx.conf.template"), TestContext.Current.CancellationToken))
            .Replace("${SERVER_NAME}", "agents.example.org", StringComparison.Ordinal)
            .Replace("/etc/nginx/agentflow", Path.Combine(deploy, "nginx"), StringComparison.Ordinal)
            .Replace("/etc/nginx/tls", _folder.Path, StringComparison.Ordinal)
            .Replace("server web:8080", "server 127.0.0.1:8080", StringComparison.Ordinal)
            .Replace("server api:8080", "server 127.0.0.1:8081", StringComparison.Ordinal);
        Assert.DoesNotContain("${", server, StringComparison.Ordinal);
        await File.WriteAllTextAsync(_folder["server.conf"], server, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(
            _folder["nginx.conf"], $"pid {_folder["pid"]}; error_log {_folder["log"]}; events {{}} http {{ access_log off; include {_folder["server.conf"]}; }}", TestContext.Current.CancellationToken);
        using var process = Process.Start(new ProcessStartInfo(nginx!, ["-t", "-c", _folder["nginx.conf"], "-e", _folder["log"]]) { RedirectStandardError = true, UseShellExecute = false })!;
        var said = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, said);
    }

    [Fact]
    public void Streams_pass_the_proxy_unbuffered_and_may_be_silent_for_two_minutes()
    {
        var routes = File.ReadAllText(Path.Combine(SourceTreeTests.Root, "deploy", "nginx", "proxy.conf"));
        Assert.All(["proxy_buffering off;", "proxy_cache off;", "proxy_read_timeout 120s;", "proxy_http_version 1.1;"], line => Assert.Contains(line, routes, StringComparison.Ordinal));
    }

    private void WriteCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=agents.example.org", key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch.AddYears(50), DateTimeOffset.UnixEpoch.AddYears(100));
        File.WriteAllText(_folder["fullchain.pem"], certificate.ExportCertificatePem());
        File.WriteAllText(_folder["privkey.pem"], key.ExportPkcs8PrivateKeyPem());
    }
}
