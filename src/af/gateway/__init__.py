"""The data plane: host name and path in, content out.

Everything here answers from memory and the block store: the host table is followed, not asked, so sites stay up while
the API or the database is down. Two lanes give the same answers: `protocol.HotProtocol` sends small cached responses
straight from the HTTP parser, and `Gateway`, an ASGI application, does the rest. Nothing here writes, and nothing
here sets cookies.
"""

from af.gateway.addresses import Address, Addresses, Kind
from af.gateway.app import Gateway, application
from af.gateway.private import PrivateGateways

__all__ = ["Address", "Addresses", "Gateway", "Kind", "PrivateGateways", "application"]
