"""Where cameras and webhooks may be: hosts that nobody should make this machine talk to are none.

An address is checked as it is written when it is saved, and as it resolves just before it is opened.
"""

import os
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# no camera is there, but in clouds a service that gives secrets to whoever asks from this machine
NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "100.100.100.200/32",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "fe80::/10",
        "fd00:ec2::/32",
        "ff00::/8",
    )
)

# this machine itself: whatever listens here alone does so for a reason
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
NAT64 = ip_network("64:ff9b::/96")


class AddressForbidden(ValueError):  # noqa: N818 - named for what is wrong
    """A host outside the networks where cameras or webhooks may be."""


def host_check(host: str, *, networks: Sequence[Network]) -> None:
    """Check a host that is written as numbers; a name says nothing before it is resolved.

    Raises:
        AddressForbidden: no camera may be there.
    """
    address = _literal(host)
    if address is not None:
        _check(address, networks)


def resolved_check(host: str, *, networks: Sequence[Network]) -> None:
    """Look a host up and check all its addresses; one that cannot be found is left to whoever opens it.

    Raises:
        AddressForbidden: no camera may be at one of them.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    for *_, where in found:
        _check(ip_address(str(where[0]).partition("%")[0]), networks)


def webhook_host_check(host: str, *, networks: Sequence[Network]) -> None:
    """Check a webhook's host that is written as numbers; a name says nothing before it is resolved.

    Raises:
        AddressForbidden: no webhook may be there.
    """
    address = _literal(host)
    if address is not None:
        _check_webhook(address, networks)


def webhook_addresses(host: str, *, networks: Sequence[Network]) -> list[str]:
    """Look a webhook's host up, check all its addresses and give them, so that no other ones are connected to.

    Raises:
        AddressForbidden: no webhook may be at one of them.
        OSError: it cannot be found.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host} is no name of a host") from error
    addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))
    for address in addresses:
        _check_webhook(ip_address(address.partition("%")[0]), networks)
    return addresses


def folder_check(path: str, *, folders: Sequence[str]) -> None:
    """Check a file's path, links and dots followed; without folders to keep to, every path will do.

    Raises:
        AddressForbidden: it lies in none of the folders.
    """
    real = Path(os.path.realpath(path))
    if folders and not any(real.is_relative_to(os.path.realpath(folder)) for folder in folders):
        raise AddressForbidden(f"{path} is not where recordings may be (SPOTON_SOURCE_FOLDERS)")


def _check_webhook(address: Address, networks: Sequence[Network]) -> None:
    address = _plain(address)
    is_open = not networks and not _within(address, LOOPBACK)
    if _within(address, NEVER) or not (is_open or _within(address, networks)):
        raise AddressForbidden(f"{address} is not where webhooks may be (SPOTON_WEBHOOK_NETWORKS)")


def _plain(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 one stands for.

    Source: RFC 4291, section 2.5.5.2 (mapped addresses); RFC 6052, section 2.1 (NAT64).
    """
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return getattr(address, "ipv4_mapped", None) or address


def _check(address: Address, networks: Sequence[Network]) -> None:
    address = _plain(address)
    if _within(address, NEVER) or (networks and not _within(address, networks)):
        raise AddressForbidden(f"{address} is not where cameras may be (SPOTON_SOURCE_NETWORKS)")


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _literal(host: str) -> Address | None:
    """Read a host that is written as numbers, in any of the ways that resolvers take: 2852039166 or 0x7f.1, say."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
