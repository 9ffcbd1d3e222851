"""Where a request comes from, as far as it is kept: a keyed hash that says only whether two addresses are the same."""

import hmac
from ipaddress import IPv6Address, ip_address

from fastapi import Request

from enrollment.access.derived_keys import key_of
from enrollment.settings import Settings

NETWORK_BITS = 64
"""An IPv6 address is kept to its network: a household or an office has as many addresses as it likes."""


def address_of(request: Request) -> str:
    """Return the hash of the client's address.

    The address itself is stored nowhere. Whoever has the service's secret and a suspected address can compare.
    """
    settings: Settings = request.app.state.settings
    return keyed(settings, "address", _network(request.client.host if request.client else "")).hex()


def keyed(settings: Settings, purpose: str, text: str) -> bytes:
    """Return the keyed hash of a text, under the key for one purpose."""
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
