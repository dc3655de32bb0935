"""Which network addresses count as one caller in limits."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address, IPv6Network

PREFIX_BITS = 64
"""The smallest network that anybody is given (RFC 6177, RFC 4291 §2.5.1): who has one address of it has all 2⁶⁴."""


def network_of(address: str) -> str:
    """The address itself, or of an IPv6 one its ``/64``. IPv4 that comes as IPv6 (``::ffff:192.0.2.1``, RFC 4291
    §2.5.5.2) is IPv4, or all of it would be one network. What is no address (a socket's name) stays as it is."""
    if ":" not in address:
        return address
    try:
        number = IPv6Address(address)
    except AddressValueError:
        return address
    if number.ipv4_mapped is not None:
        return str(number.ipv4_mapped)
    return str(IPv6Network((int(number), PREFIX_BITS), strict=False))
