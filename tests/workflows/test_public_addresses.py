from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.public_addresses import is_local, is_public

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.216.34", "100.63.255.255", "100.128.0.0",
    "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0",
    "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2001:200::1", "2003::1", "2600::1", "2606:4700:4700::1111", "2a00:1450::1",
]  # fmt: skip
LOCAL = [
    "10.0.0.0", "10.255.255.255", "127.0.0.1", "127.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0",
    "192.168.255.255", "::1", "fc00::", "fdff:ffff::1", "fd00:ec2::254",
]  # fmt: skip
NEITHER = [
    "0.0.0.0", "0.255.255.255", "100.64.0.0", "100.100.100.200", "100.127.255.255", "168.63.129.16", "169.254.0.0",
    "169.254.169.254", "192.0.0.0", "192.0.0.9", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1",
    "192.88.99.1", "192.175.48.1", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.255", "224.0.0.1",
    "233.252.0.1", "239.255.255.255", "240.0.0.0", "255.255.255.255",
    "::", "::2", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:808:808", "64:ff9b::7f00:1",
    "64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1", "100:0:0:1::1", "1fff::1", "2001::1", "2001:0:4136:e378::1",
    "2001:2::1", "2001:10::1", "2001:20::1", "2001:30::1", "2001:1ff::1", "2001:db8::1", "2002:7f00:1::1",
    "2002:808:808::1", "2620:4f:8000::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "fe80::1", "fe80::1%1",
    "febf::1", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str):
    assert (is_public(ip_address(text)), is_local(ip_address(text))) == (True, False)


@pytest.mark.parametrize("text", LOCAL)
def test_of_this_machine_or_a_network_of_ours(text: str):
    assert (is_public(ip_address(text)), is_local(ip_address(text))) == (False, True)


@pytest.mark.parametrize("text", NEITHER)
def test_special(text: str):
    assert (is_public(ip_address(text)), is_local(ip_address(text))) == (False, False)


@given(st.ip_addresses())
def test_what_python_knows_to_be_special_is_never_public(address: IPv4Address | IPv6Address):
    special = (
        address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
        or address.is_reserved or address.is_unspecified or not address.is_global
    )  # fmt: skip

    assert not (special and is_public(address))


@given(st.ip_addresses(v=4))
def test_no_wrapping_of_an_ipv4_address_is_public(address: IPv4Address):
    v4 = int(address)
    wrapped = [v4, 0xFFFF << 32 | v4, 0x64FF9B << 96 | v4, 0x2002 << 112 | v4 << 80, 0x20010000 << 96 | v4 ^ 0xFFFFFFFF]

    assert not any(is_public(IPv6Address(number)) for number in wrapped)
