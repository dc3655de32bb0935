"""What can go wrong with private gateways and zones."""

from __future__ import annotations

from af.core.errors import Conflict, InvalidInput, NotFound, QuotaExceeded, Unavailable


class PrivateGatewayNotFound(NotFound):
    """There is none, or the asker may not see it."""

    code = "private_gateway_not_found"
    number = 3053
    explain = "The project has no such private gateway. `af gateways list` shows those that it has."


class ZoneNotFound(NotFound):
    """There is none, or the asker may not see it."""

    code = "zone_not_found"
    number = 3048
    explain = "The project has no such zone. `createZoneForPrivateGateway` makes one."


class ZoneInUse(Conflict):
    """A private gateway is in the zone."""

    code = "zone_in_use"
    number = 3049
    explain = "A zone holds one private gateway. Delete the gateway first, or make another zone."


class ZonesOfSitesAbsent(Unavailable):
    """This platform has no zones for sites."""

    code = "zones_of_sites_absent"
    number = 3050
    explain = (
        "The original platform put sites behind zones of its CDN. Here a site is served at its address without a zone, "
        "so there is nothing to create."
    )
    retryable = False


class InvalidGatewayName(InvalidInput):
    """The name has nothing to make a host name of."""

    code = "invalid_gateway_name"
    number = 3051
    explain = "The name of a private gateway has 1 to 100 visible characters, and a letter or digit of a to z, 0 to 9."


class TooManyGateways(QuotaExceeded):
    """The project has as many as it may."""

    code = "too_many_private_gateways"
    number = 3052
    explain = "A project has at most 20 zones and private gateways. Delete what is no longer used."
