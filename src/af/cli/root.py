"""The root of ``af``: every verb's name, section and one line of help. A verb's module is imported when it runs."""

from __future__ import annotations

import click

import af
from af.cli.frame import Group, State

VERBS: dict[str, tuple[str, str, str]] = {
    # name: (section, module:attribute, one line of help)
    "up": ("Platform", "af.cli.up:up", "Start the whole platform on this machine."),
    "serve": ("Platform", "af.cli.up:serve", "Start one part of the platform (gateway, api, worker)."),
    "doctor": ("Platform", "af.cli.up:doctor", "Check this machine and say what to mend."),
    "deploy": ("Sites", "af.cli.deploy:deploy", "Put a folder live."),
    "rollback": ("Sites", "af.cli.deploy:rollback", "Go back to an earlier deployment."),
    "promote": ("Sites", "af.cli.deploy:promote", "Make a deployment the one that visitors see."),
    "diff": ("Sites", "af.cli.deploy:diff", "Show what changed between two deployments."),
    "logs": ("Sites", "af.cli.deploy:logs", "Show what happened to a deployment."),
    "open": ("Sites", "af.cli.deploy:open_site", "Open a site in the browser."),
    "sites": ("Sites", "af.cli.sites:sites", "List, create, rename and delete sites."),
    "storage": ("Content", "af.cli.storage:storage", "Store and fetch content by CID."),
    "pins": ("Content", "af.cli.pins:pins", "Have content fetched by CID from the network, and kept."),
    "replication": ("Content", "af.cli.replication:replication", "Copies of what is live at other providers."),
    "gateways": ("Content", "af.cli.gateways:gateways", "Hosts for private content: list, create, rename, close."),
    "ens": ("Content", "af.cli.ens:ens", "ENS names that point at sites."),
    "filecoin": ("Content", "af.cli.filecoin:filecoin", "Pieces for Filecoin: commitments and CARs."),
    "ipns": ("Content", "af.cli.ipns:ipns", "Names that lead to changing content: keys, records, publishing."),
    "login": ("Account", "af.cli.login:login", "Sign in: by a browser, e-mail, token or pipeline."),
    "logout": ("Account", "af.cli.account:logout", "End the session of a profile and forget it."),
    "whoami": ("Account", "af.cli.account:whoami", "Show who you are, where, and until when."),
    "profiles": ("Account", "af.cli.profiles:profiles", "List and choose profiles."),
    "sessions": ("Account", "af.cli.sessions:sessions", "List and end sessions."),
    "organizations": (
        "Account",
        "af.cli.organizations:organizations",
        "Organizations: list, create, hand over, leave.",
    ),
    "members": ("Account", "af.cli.members:members", "Members and invitations: list, invite, change, remove."),
    "audit": ("Account", "af.cli.audit:audit", "Who did what: list, export, verify."),
    "projects": ("Account", "af.cli.projects:projects", "List, create, choose and delete projects."),
    "tokens": ("Account", "af.cli.tokens:tokens", "Create, list and revoke access tokens."),
    "service-accounts": ("Account", "af.cli.machines:accounts", "Programs of the project and their tokens."),
    "trust": ("Account", "af.cli.machines:trust", "Pipelines that may act in the project without a secret."),
    "explain": ("Help", "af.cli.explain:explain", "Explain an error code such as AF4001."),
    "completion": ("Help", "af.cli.explain:completion", "Print a shell's completion script."),
}


@click.group(cls=Group, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(af.__version__, "-V", "--version", message="af %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Alternate Futures: a cloud that you own.

    \b
    af up              start the platform on this machine
    af deploy ./site   put a folder live
    """
    context.ensure_object(State)
