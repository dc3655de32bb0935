"""The REST edge of identity, one module per thing; each exports its ``routes``."""

from af.auth.http import link, sign_in

routes = [*link.routes, *sign_in.routes]
