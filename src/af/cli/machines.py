"""``af service-accounts`` and ``af trust``: programs in a project, and pipelines that act as one."""

from __future__ import annotations

import click

from af.cli import output
from af.cli.frame import Noun, State, verb
from af.cli.tokens import expiry

_ISSUERS = {
    "github": "https://token.actions.githubusercontent.com",
    "gitlab": "https://gitlab.com",
}


@click.group("service-accounts", cls=Noun)
def accounts() -> None:
    """Programs of the project: users that have tokens but do not sign in."""


@verb(accounts, "list")
def list_accounts(state: State) -> None:
    """List them with their tokens (never their text)."""
    client = state.client()
    found = client.machines.accounts(client.project().id)
    if state.json:
        output.document({"data": found})
        return
    rows = [(a["name"], a["role"].lower(), str(len(a["tokens"])), a["createdAt"][:10], a["id"]) for a in found]
    output.table(("NAME", "ROLE", "TOKENS", "SINCE", "ID"), rows, empty="None: `af service-accounts create NAME`.")


@verb(accounts, "create")
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "member", "admin"]), default="member", show_default=True)
def create_account(state: State, name: str, role: str) -> None:
    """Make a service account."""
    client = state.client()
    made = client.machines.create_account(client.project().id, name, role.upper())
    if state.json:
        output.document(made)
        return
    output.result(made["id"])


@verb(accounts, "delete")
@click.argument("account")
def delete_account(state: State, account: str) -> None:
    """Delete one (name or id); its tokens and trust rules end with it."""
    client = state.client()
    project = client.project().id
    found = client.machines.account(project, account)
    client.machines.delete_account(project, found["id"])
    if state.json:
        output.document({"id": found["id"], "deleted": True})
    elif not state.quiet:
        output.note(f"Deleted {found['name']}.")


@verb(accounts, "token")
@click.argument("account")
@click.option("--name", required=True, help="What it is for.")
@click.option("--scope", "scopes", multiple=True, help="all, or for example sites:write; may be repeated.")
@click.option("--expires", default="1y", show_default=True, help="Life of the token: 12h, 30d, 1y or never.")
def create_token(state: State, account: str, name: str, scopes: tuple[str, ...], expires: str) -> None:
    """Make a token of ACCOUNT for this project. It is shown once, now."""
    client = state.client()
    project = client.project().id
    found = client.machines.account(project, account)
    made = client.machines.create_token(
        project,
        found["id"],
        name,
        scopes=[scope for text in scopes for scope in text.split(",")] or None,
        expires_at=expiry(expires),
    )
    if state.json:
        output.document(made)
        return
    if not state.quiet:
        output.note("Keep it now; it is not shown again:")
    output.result(made["token"])


@verb(accounts, "revoke")
@click.argument("account")
@click.argument("token_id")
def revoke_token(state: State, account: str, token_id: str) -> None:
    """Revoke a token of ACCOUNT; it stops working within seconds."""
    client = state.client()
    project = client.project().id
    client.machines.revoke_token(project, client.machines.account(project, account)["id"], token_id)
    if state.json:
        output.document({"id": token_id, "revoked": True})
    elif not state.quiet:
        output.note(f"Revoked {token_id}.")


@click.group(cls=Noun)
def trust() -> None:
    """Which pipelines may act in the project without a stored secret (`af login --ci`)."""


@verb(trust, "list")
def list_rules(state: State) -> None:
    """List the project's trust rules."""
    client = state.client()
    found = client.machines.rules(client.project().id)
    if state.json:
        output.document({"data": found})
        return
    rows = [(r["name"], r["subject"], ",".join(r["scopes"]), (r["lastUsedAt"] or "never")[:19], r["id"]) for r in found]
    output.table(("NAME", "SUBJECT", "SCOPES", "LAST USED", "ID"), rows, empty="None: `af trust add --help`.")


@verb(trust, "add")
@click.option("--account", required=True, help="Service account that the runs act as (name or id).")
@click.option("--issuer", default="github", show_default=True, help="github, gitlab, or the address of another issuer.")
@click.option("--subject", help="What the run's token must say; * stands for any text.")
@click.option("--repo", help="GitHub: OWNER/NAME, instead of --subject.")
@click.option("--branch", help="GitHub: only runs of this branch.")
@click.option("--environment", help="GitHub: only runs in this environment.")
@click.option("--audience", help="What the pipeline asks its token for, if not the platform's address.")
@click.option("--scope", "scopes", multiple=True, help="What the runs may do; by default all that the account may.")
@click.option(
    "--life", type=click.IntRange(5, 720), default=60, show_default=True, help="Minutes that their token lasts."
)
@click.option("--name", help="What it is for; by default the subject.")
def add_rule(
    state: State,
    account: str,
    issuer: str,
    subject: str | None,
    repo: str | None,
    branch: str | None,
    environment: str | None,
    audience: str | None,
    scopes: tuple[str, ...],
    life: int,
    name: str | None,
) -> None:
    """Trust the runs of a pipeline."""
    wanted = _subject(subject, repo, branch, environment)
    client = state.client()
    project = client.project().id
    made = client.machines.add_rule(
        project,
        serviceAccountId=client.machines.account(project, account)["id"],
        name=name or _name(wanted),
        issuer=_ISSUERS.get(issuer, issuer),
        subject=wanted,
        audience=audience,
        scopes=[scope for text in scopes for scope in text.split(",")] or None,
        lifeSeconds=life * 60,
    )
    if state.json:
        output.document(made)
        return
    if not state.quiet:
        output.note(f"Runs whose token says {wanted} act as {account}. In the pipeline: af login --ci")
    output.result(made["id"])


@verb(trust, "remove")
@click.argument("rule_id")
def remove_rule(state: State, rule_id: str) -> None:
    """Trust no more; the tokens that the rule gave end within seconds."""
    client = state.client()
    client.machines.remove_rule(client.project().id, rule_id)
    if state.json:
        output.document({"id": rule_id, "removed": True})
    elif not state.quiet:
        output.note(f"Removed {rule_id}.")


def _subject(subject: str | None, repo: str | None, branch: str | None, environment: str | None) -> str:
    """The given one, or that of GitHub's runs: ``repo:OWNER/NAME:ref:refs/heads/BRANCH``."""
    from alternatefutures.errors import UsageError

    if (subject is None) == (repo is None):
        raise UsageError(
            "Say whom to trust: exactly one of --subject and --repo.", hint="--repo OWNER/NAME for GitHub."
        )
    if subject is not None:
        return subject
    if branch and environment:
        raise UsageError("A run has one subject: --branch or --environment.", hint="Add two rules for both.")
    if branch:
        return f"repo:{repo}:ref:refs/heads/{branch}"
    return f"repo:{repo}:environment:{environment}" if environment else f"repo:{repo}:*"


def _name(subject: str) -> str:
    """A name made of a subject: of the characters that names have."""
    return "".join(c if c.isascii() and (c.isalnum() or c in " -_.") else "-" for c in subject)[:100]
