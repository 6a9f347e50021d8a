"""Which addresses are on the public internet.

IPv4 is public unless it is listed here; IPv6 only within 2000::/3, the part that IANA has opened for use, and unless
listed. That leaves out whatever wraps an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo), whichever it wraps:
where the wrapping is undone isn't ours to know.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address

# IANA's registry of special addresses (RFC 6890 and its updates), multicast, and one that only looks public.
_SPECIAL_V4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers' customers
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform, from any of its machines
        "169.254.0.0/16",  # link-local, clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_OPENED_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID, drones...
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_LOCAL = tuple(
    map(IPv4Network, ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
) + tuple(map(IPv6Network, ("::1/128", "fc00::/7")))  # fmt: skip


def is_public(address: IPAddress) -> bool:
    """Python's own table is asked too: it grows with Python."""
    if isinstance(address, IPv4Address):
        special = any(address in block for block in _SPECIAL_V4)
    else:
        special = address not in _OPENED_V6 or any(address in block for block in _SPECIAL_V6)
    return not special and address.is_global and not address.is_multicast


def is_local(address: IPAddress) -> bool:
    """This machine, or a network of whoever runs it; nothing that is special in another way."""
    return any(address in block for block in _LOCAL)
