"""Who a client is: the address that is counted, also where proxies stand between."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ribocast.errors import OptionError

_MOST_PROXIES = 10
_NAME = re.compile(r"(?!-)[A-Za-z0-9._-]{1,253}")
Address = IPv4Address | IPv6Address


class Proxies:
    """The proxies before a server, whose word on who called them is taken.

    Parameters
    ----------
    setting : str
        How many there are between every client and the server (``1``); or addresses, networks and names of machines,
        with commas between; empty, there is none.

    Raises
    ------
    RibocastError
        If it is neither, or a name is not known.
    """

    def __init__(self, setting: str) -> None:
        self._count = 0
        self._networks: list[IPv4Network | IPv6Network] = []
        if setting.isdecimal():
            self._count = int(setting)
            if not 0 <= self._count <= _MOST_PROXIES:
                raise OptionError(f"{setting} proxies; the maximum is {_MOST_PROXIES}")
            return
        for part in filter(None, map(str.strip, setting.split(","))):
            self._networks += _networks(part)

    def have(self, peer: str) -> bool:
        """Say whether what connects from an address is one of them."""
        if self._count:
            return True
        address = _address(peer)
        return address is not None and any(address in network for network in self._networks)

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """Say who called, as a text to count by: an IPv4 address, or the /64 network of an IPv6 address.

        Parameters
        ----------
        peer : str
            Who is connected.
        forwarded : sequence of str
            The values of X-Forwarded-For. What a client wrote there stands left of what proxies added.
        """
        chain = [peer]  # from the server to the client
        for entry in reversed(",".join(forwarded).split(",") if forwarded else []):
            is_trusted = len(chain) <= self._count if self._count else self.have(chain[-1])
            if not is_trusted or _address(entry) is None:
                break
            chain.append(entry)
        return key_of(chain[-1])


def key_of(peer: str) -> str:
    """Return what stands for an address when clients are counted: whoever has an IPv6 address has 2**64 of them."""
    address = _address(peer)
    if address is None:
        return peer
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)


def _address(text: str) -> Address | None:
    """Read an address, perhaps with a port; None for anything else."""
    text = text.strip().partition("%")[0]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _networks(part: str) -> list[IPv4Network | IPv6Network]:
    if part == "*":
        raise OptionError("* would trust whatever a client writes; give the number of proxies (1) or their addresses")
    with suppress(ValueError):
        return [ip_network(part, strict=False)]
    if not _NAME.fullmatch(part):
        raise OptionError(f"{part!r} is not a number of proxies, an address, a network or a name")
    try:
        found = socket.getaddrinfo(part, None)
    except OSError:
        raise OptionError(f"the proxy {part} cannot be found; give its address") from None
    return [ip_network(str(address)) for *_, peer in found if (address := _address(str(peer[0]))) is not None]
