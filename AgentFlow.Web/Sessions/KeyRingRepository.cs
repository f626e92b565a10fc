using System.Text;
using System.Xml.Linq;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.Extensions.Options;

namespace AgentFlow.Web.Sessions;

/// <summary>Data-protection keys (antiforgery, circuit state), sealed and kept with the API: every Web process reads the same ones.</summary>
internal sealed class KeyRingRepository(SessionVault vault) : IXmlRepository
{
    public IReadOnlyCollection<XElement> GetAllElements() =>
        [.. vault.ReadKeys().Select(key => XElement.Parse(Encoding.UTF8.GetString(key)))];

    public void StoreElement(XElement element, string friendlyName) =>
        vault.KeepKey(friendlyName, Encoding.UTF8.GetBytes(element.ToString(SaveOptions.DisableFormatting)));
}

internal sealed class KeyRingOptions(KeyRingRepository repository) : IConfigureOptions<KeyManagementOptions>
{
    public void Configure(KeyManagementOptions options) => options.XmlRepository = repository;
}
