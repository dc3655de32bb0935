"""The REST edge of teams, one module per thing; each exports its ``routes``."""

from af.projects.http import audit, events, invitations, organizations

routes = [*events.routes, *audit.routes, *organizations.routes, *invitations.routes]
