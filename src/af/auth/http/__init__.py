"""The REST edge of identity, one module per thing; each exports its ``routes``."""

from af.auth.http import device, link, machines, sign_in

routes = [*device.routes, *link.routes, *machines.routes, *sign_in.routes]
