"""``af logout`` and ``af whoami``: leaving, and who you are where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from af.cli import output
from af.cli.frame import State, command
from af.cli.login import identity

if TYPE_CHECKING:
    from af.cli.config import Access
    from alternatefutures import Client


@command("logout")
@click.option("--all", "everywhere", is_flag=True, help="Leave every profile.")
def logout(state: State, everywhere: bool) -> None:
    """End the session of the active profile (or ``--profile``) and forget it.

    An access token is only forgotten: others may use it. `af tokens revoke` ends it.
    """
    from af.cli import config
    from alternatefutures.errors import NotFoundHere

    stored = config.load_credentials()
    names = list(stored.profiles) if everywhere else [state.profile or stored.active]
    if not names or any(name not in stored.profiles for name in names):
        raise NotFoundHere("You are not signed in.", hint="`af login` signs you in.")
    ended = {name: _leave(state, name) for name in names}
    active = config.load_credentials().active
    if state.json:
        rows = [{"profile": name, "revoked": revoked} for name, revoked in ended.items()]
        output.document({"data": rows, "active": active} if everywhere else {**rows[0], "active": active})
    elif not state.quiet:
        for name, revoked in ended.items():
            output.note(f"Signed out of profile {name}." if revoked else f"Forgot profile {name}.")


def _leave(state: State, name: str) -> bool:
    """Forget the profile; whether its session was ended at the platform, too."""
    from af.cli import config, keeping
    from alternatefutures.errors import SdkError
    from alternatefutures.signin import SignIn

    with keeping.ProfileKeeper(name).exclusive():  # no refresh under way may outlive it
        with config.editing() as credentials:
            profile = credentials.profiles.pop(name, {})
            if credentials.active == name:
                credentials.active = next(iter(credentials.profiles), "")
        tokens = keeping.tokens_in(profile)
        if tokens is None or not tokens.refresh:
            return False
        platform = SignIn(profile["apiUrl"])
        try:
            platform.sign_out(tokens)
        except SdkError as error:
            if not state.quiet:
                output.note(
                    f"warning: the session could not be ended at {profile['apiUrl']} ({error.message}) It ends by "
                    "itself; `af sessions revoke ID` from another sign-in ends it now."
                )
            return False
        finally:
            platform.close()
    return True


@command("whoami")
def whoami(state: State) -> None:
    """Show the user, the project and the platform that commands act on, and until when."""
    from af.cli import config
    from alternatefutures.errors import NotFoundHere, NotSignedIn

    access = config.access(state.profile)
    client = state.client()
    user = client.me()
    if user is None:
        raise NotSignedIn(f"The platform at {access.url} does not know your token.", hint="Run `af login` again.")
    try:
        project = client.project().slug
    except NotFoundHere:
        project = ""
    how = _how(access, client)
    if state.json:
        shown = identity(user.id, user.username, user.email, access.url, access.profile, project)
        output.document({**shown, "signIn": how})
        return
    scopes = how["scopes"]
    for label, text in (
        ("user", user.username or user.id),
        ("email", user.email or "-"),
        ("project", project or "-"),
        ("platform", access.url),
        ("profile", "- (AF_TOKEN)" if access.from_environment else access.profile or "-"),
        ("sign-in", f"{how['kind']}, {how['method']}" if how["method"] else str(how["kind"])),
        ("until", str(how["expiresAt"] or "no end").replace("T", " ")[:16]),
        ("scopes", ", ".join(scopes) if isinstance(scopes, list) else "-"),
    ):
        output.result(f"{label:<9} {text}")


def _how(access: Access, client: Client) -> dict[str, object]:
    """``{"kind", "method", "expiresAt", "scopes"}``; what the credential may not know about itself is null."""
    from alternatefutures.errors import ApiError

    if access.session:
        method, expires_at = _session(access, client)
        return {"kind": "session", "method": method, "expiresAt": expires_at, "scopes": ["all"]}
    found = None
    try:
        own = [token for token in client.tokens() if (token.maskedToken or "")[-4:] == access.token[-4:]]
        found = own[0] if len(own) == 1 else None
    except ApiError as error:
        if error.kind != "forbidden":  # a token without tokens:read
            raise
    if found is None:
        return {"kind": "token", "method": None, "expiresAt": None, "scopes": None}
    return {"kind": "token", "method": found.name, "expiresAt": found.expiresAt, "scopes": found.scopes}


def _session(access: Access, client: Client) -> tuple[str | None, str | None]:
    """How the profile's session was made, and when it ends."""
    from af.cli import config
    from alternatefutures.errors import ApiError

    profile = config.load_credentials().profiles.get(access.profile, {})
    if not profile.get("refreshToken"):
        return profile.get("method"), profile.get("expiresAt")
    try:
        current = next((each for each in client.sessions() if each.current), None)
    except ApiError as error:
        if error.kind not in ("forbidden", "not_found"):
            raise
        current = None
    return profile.get("method"), current.expiresAt if current else None
