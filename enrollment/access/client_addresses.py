"""Client addresses, stored only as keyed hashes, which show whether two addresses are the same."""

import hmac
from ipaddress import IPv6Address, ip_address

from fastapi import Request

from enrollment.access.derived_keys import key_of
from enrollment.settings import Settings

NETWORK_BITS = 64
"""The network prefix of an IPv6 address. A household or an office may use many addresses in one network."""


def address_of(request: Request) -> str:
    """Return the hash of the client's address.

    The address itself is never stored. With the service's secret and a suspected address, a person can compare.
    """
    settings: Settings = request.app.state.settings
    return keyed(settings, "address", _network(request.client.host if request.client else "")).hex()


def keyed(settings: Settings, purpose: str, text: str) -> bytes:
    """Return the keyed hash of a text for one purpose."""
    return hmac.digest(key_of(settings, purpose).key, text.encode("utf-8", "surrogatepass"), "sha256")[:16]


def _network(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(int(address) >> (128 - NETWORK_BITS))
