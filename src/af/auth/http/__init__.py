"""The REST edge of identity, one module per thing; each exports its ``routes``."""

from af.auth.http import account, device, link, machines, oauth, sessions, sign_in, tokens

routes = [
    *account.routes,
    *device.routes,
    *link.routes,
    *machines.routes,
    *oauth.routes,
    *sessions.routes,
    *sign_in.routes,
    *tokens.routes,
]
