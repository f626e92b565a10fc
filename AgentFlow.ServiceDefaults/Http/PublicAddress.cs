using System.Net;
using System.Net.Sockets;

namespace AgentFlow.ServiceDefaults.Http;

/// <summary>
/// Whether an address is a host on the public internet. Decided on the address that is dialled, after unwrapping IPv4 from the IPv6 forms
/// that carry it; everything that is not global unicast (IANA's special-purpose registries, 2026-11) is refused. Pure.
/// </summary>
public static class PublicAddress
{
    private static readonly IPNetwork[] NotPublicV4 = [.. new[]
    {
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    }.Select(IPNetwork.Parse)];

    private static readonly IPNetwork GlobalV6 = IPNetwork.Parse("2000::/3");

    /// <summary>Protocol assignments (with Teredo and ORCHID), 6to4, documentation: inside 2000::/3 but no hosts.</summary>
    private static readonly IPNetwork[] NotPublicV6 = [.. new[] { "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20" }.Select(IPNetwork.Parse)];

    /// <summary>NAT64's well-known prefix: the last four bytes are the IPv4 address that is really meant.</summary>
    private static readonly IPNetwork Nat64 = IPNetwork.Parse("64:ff9b::/96");

    public static bool IsPublic(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (address.IsIPv4MappedToIPv6)
        {
            return IsPublic(address.MapToIPv4());
        }

        if (address.AddressFamily is AddressFamily.InterNetwork)
        {
            return !NotPublicV4.Any(network => network.Contains(address));
        }

        // A zone names an interface of this machine; global addresses have none.
        if (address.AddressFamily is not AddressFamily.InterNetworkV6 || address.ScopeId != 0)
        {
            return false;
        }

        return Nat64.Contains(address)
            ? IsPublic(new IPAddress(address.GetAddressBytes().AsSpan(12)))
            : GlobalV6.Contains(address) && !NotPublicV6.Any(network => network.Contains(address));
    }
}
