"""The REST edge of teams, one module per thing; each exports its ``routes``."""

from af.projects.http import account, audit, events, invitations, organizations

routes = [*account.routes, *events.routes, *audit.routes, *organizations.routes, *invitations.routes]
