"""``af login``: by a browser, by a code sent by e-mail, with an access token, or with the identity of a pipeline."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from af.cli import output
from af.cli.frame import State, command

if TYPE_CHECKING:
    from af.cli.config import Credentials
    from alternatefutures import Client
    from alternatefutures.credentials import SessionTokens
    from alternatefutures.signin import SecondFactor, SignIn

_CODE_TRIES = 3


@command("login")
@click.option("--token", help="Sign in with an access token; `-` reads it from stdin.")
@click.option("--email", metavar="ADDRESS", help="Sign in with a code that is sent there.")
@click.option("--code", help="The code of the message, after `af login --email ADDRESS`; `-` reads it from stdin.")
@click.option("--second-factor", metavar="CODE", help="The code of the authenticator app, where it is asked for.")
@click.option("--ci", is_flag=True, help="Exchange the identity of a pipeline (GitHub Actions, AF_ID_TOKEN).")
@click.option("--audience", help="With --ci: for whom the identity is asked for; by default the platform's address.")
@click.option("--print-token", is_flag=True, help="With --ci: print the token and save nothing.")
@click.option("--no-browser", is_flag=True, help="Print the address and the code, open nothing.")
@click.option("--url", help="Address of the platform.")
@click.option("--link", is_flag=True, help="Print a link that signs you in once, in a browser.")
def login(state: State, token: str | None, url: str | None, link: bool, **how: Any) -> None:
    """Sign in and remember it as a profile (``--profile``, else ``default``).

    Without an option a browser opens: compare the code there and approve. Programs use --token, --ci or AF_TOKEN.
    """
    if link:
        _print_link(state)
        return
    from af.cli import config
    from alternatefutures.errors import UsageError

    _only_one(token=token is not None, email=how["email"] is not None, ci=how["ci"])
    if how["code"] is not None and how["email"] is None:
        raise UsageError("--code belongs to --email ADDRESS.")
    name = state.profile or os.environ.get("AF_PROFILE") or "default"
    address = url or _address(config.load_credentials(), name)
    _warn(state, address)
    if token is not None:
        _with_token(state, name, address, token)
    elif how["ci"]:
        _with_identity(state, name, address, how["audience"] or address, print_only=how["print_token"])
    elif how["email"] is not None:
        _with_email(state, name, address, how["email"], how["code"], how["second_factor"])
    else:
        _with_browser(state, name, address, open_browser=not how["no_browser"])


def _only_one(**given: bool) -> None:
    from alternatefutures.errors import UsageError

    chosen = [f"--{name}" for name, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} exclude each other.")


def _warn(state: State, url: str) -> None:
    from af.cli import config

    if state.quiet:
        return
    if url.startswith("http:") and not config.is_loopback(url):
        output.note(f"warning: {url} is not encrypted; whoever is on the way can read your credentials. Use https.")
    if os.environ.get("AF_TOKEN") or os.environ.get("FLEEK_TOKEN"):
        output.note("warning: AF_TOKEN is set and wins over what you sign in with now.")


def _with_token(state: State, name: str, url: str, token: str) -> None:
    from alternatefutures import Client
    from alternatefutures.errors import UsageError

    if token == "-":
        token = sys.stdin.readline()
    token = token.strip()
    if not token:
        raise UsageError("A token is needed.", hint="`af login --token TOKEN`; `af tokens create` makes one.")
    _remember(state, name, Client(url=url, token=token, project_id=""), token, "token")


def _with_browser(state: State, name: str, url: str, *, open_browser: bool) -> None:
    from alternatefutures.errors import NotSignedIn

    if not state.attended:
        raise NotSignedIn(
            "Signing in by a browser needs a person at a terminal.",
            cause="CI is set." if os.environ.get("CI") else "This is not a terminal.",
            hint="Set AF_TOKEN, or run `af login --token TOKEN`; in a pipeline with an identity `af login --ci`.",
        )
    from af.cli import browser
    from alternatefutures.signin import SignIn

    platform = SignIn(url)
    try:
        tokens = browser.sign_in(platform, open_browser=open_browser, steps=output.Steps(quiet=state.quiet))
    finally:
        platform.close()
    _remember_session(state, name, url, tokens, "browser")


def _with_email(state: State, name: str, url: str, email: str, code: str | None, second: str | None) -> None:
    """Asks for the code at a terminal; for a program in two calls, the second one with ``code``."""
    from alternatefutures.signin import SignIn

    platform = SignIn(url)
    try:
        if code is None or code == "-":
            flow = platform.request_email_code(email)
            if code is None and not state.interactive:
                _save_flow(url, email, flow)
                _say_sent(state, email)
                return
        else:
            flow = _saved_flow(url, email)
        if code is None:
            output.note(f"We sent a message to {email}.")
            done = _asked(lambda text: platform.verify_email_code(email, text, flow), "Code")
        else:
            text = sys.stdin.readline() if code == "-" else code
            done = platform.verify_email_code(email, _digits(text), flow)
        tokens = _second(state, platform, done, second)
    finally:
        platform.close()
    _forget_flow()
    _remember_session(state, name, url, tokens, "email")


def _second(state: State, platform: SignIn, done: SessionTokens | SecondFactor, code: str | None) -> SessionTokens:
    from alternatefutures.credentials import SessionTokens
    from alternatefutures.errors import NotSignedIn

    if not isinstance(done, SessionTokens):
        flow = done.flow
        if code is not None:
            done = platform.verify_second_factor(code.strip(), flow)
        elif state.interactive:
            done = _asked(lambda text: platform.verify_second_factor(text, flow), "Code of your authenticator app")
    if not isinstance(done, SessionTokens):
        raise NotSignedIn(
            "The account has a second factor.", hint="Ask for a new code, then give --second-factor CODE, too."
        )
    return done


def _asked(verify: Any, label: str) -> Any:
    """What ``verify`` makes of the code that the person types; a wrong one may be typed again."""
    from alternatefutures.errors import ApiError

    for left in reversed(range(_CODE_TRIES)):
        text = _digits(click.prompt(label, err=True))
        try:
            return verify(text)
        except ApiError as error:
            if error.code != "wrong_proof" or not left:
                raise
            output.note(f"That is another code: {error.message}")
    raise AssertionError("unreachable")


def _digits(text: str) -> str:
    """As people type codes: ``123 456``."""
    return "".join(text.split())


def _with_identity(state: State, name: str, url: str, audience: str, *, print_only: bool) -> None:
    import time

    from alternatefutures import Client
    from alternatefutures.credentials import SessionTokens
    from alternatefutures.signin import SignIn, pipeline_identity

    shown = pipeline_identity(audience)
    platform = SignIn(url)
    try:
        made = platform.exchange_identity(shown)
    finally:
        platform.close()
    if print_only:
        if state.json:
            output.document({"token": made.token, "expiresIn": int(made.expires_in_seconds)})
        else:
            output.result(made.token)
        return
    tokens = SessionTokens(made.token, "", time.time() + made.expires_in_seconds)
    _remember(state, name, Client(url=url, token=made.token, project_id=made.project_id), tokens, "ci")


def _remember_session(state: State, name: str, url: str, tokens: SessionTokens, method: str) -> None:
    from alternatefutures import Client

    _remember(state, name, Client(url=url, token=tokens.access, project_id=""), tokens, method)


def _remember(state: State, name: str, client: Client, secret: str | SessionTokens, method: str) -> None:
    """Make the profile; it acts on the project that the user has by default, if there is one yet."""
    from af.cli import config, keeping
    from alternatefutures.errors import ApiError, NotFoundHere, UsageError

    user = client.me()
    if user is None:
        raise UsageError("The platform does not know this token.", hint="Make a new one with `af tokens create`.")
    try:
        project = client.project()
        project_id, slug = project.id, project.slug
    except NotFoundHere:  # none, or several: `af projects use` chooses
        project_id, slug = "", ""
    except ApiError as error:
        if error.kind != "forbidden":
            raise
        project_id, slug = client.transport.project_id, ""  # a token that may deploy but not look at its project
    url = client.transport.url
    with keeping.ProfileKeeper(name).exclusive(), config.editing() as credentials:
        replaced = credentials.profiles.get(name, {})
        keeping.remember(credentials, name, url, project_id, secret, method)
    _end(replaced)
    if state.json:
        output.document(identity(user.id, user.username, user.email, url, name, slug))
    elif not state.quiet:
        output.note(f"Signed in at {url} as {user.username or user.email or user.id} (profile {name}).")


def _end(profile: dict[str, str]) -> None:
    """End the session that was replaced, if the platform is there: nothing else knows its tokens any more."""
    from af.cli.keeping import tokens_in
    from alternatefutures.errors import SdkError
    from alternatefutures.signin import SignIn

    tokens = tokens_in(profile)
    if tokens is None or not tokens.refresh or "apiUrl" not in profile:
        return
    platform = SignIn(profile["apiUrl"])
    with contextlib.suppress(SdkError):
        platform.sign_out(tokens)
    platform.close()


def identity(
    user_id: str, username: str | None, email: str | None, url: str, profile: str, project: str
) -> dict[str, object]:
    """Who somebody is, as ``--json`` prints it."""
    user = {"id": user_id, "username": username, "email": email}
    return {"user": user, "project": project or None, "apiUrl": url, "profile": profile}


def _print_link(state: State) -> None:
    """For the browser of somebody who is signed in here."""
    address = state.client().login_link()
    if state.json:
        output.document({"url": address})
        return
    if not state.quiet:
        output.note("Open it in a browser; it works once:")
    output.result(address)


def _address(credentials: Credentials, name: str) -> str:
    """Where to sign in: ``AF_API_URL``, else where the profile is, else where the active one is, else this machine."""
    from alternatefutures.client import DEFAULT_URL

    for profile in (name, credentials.active):
        known = credentials.profiles.get(profile, {}).get("apiUrl")
        if known:
            break
    return os.environ.get("AF_API_URL") or known or DEFAULT_URL


# --- a code that was asked for by another call ------


def _flow_path() -> Any:
    from af.cli import config

    return config.credentials_path().with_name("email-login.json")


def _save_flow(url: str, email: str, flow: str) -> None:
    path = _flow_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"apiUrl": url, "email": email, "flow": flow}, file)


def _saved_flow(url: str, email: str) -> str:
    from alternatefutures.errors import UsageError

    try:
        saved = json.loads(_flow_path().read_text("utf-8"))
        if (saved["apiUrl"], saved["email"]) == (url, email) and isinstance(saved["flow"], str):
            return str(saved["flow"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UsageError(f"No code was asked for {email} at {url}.", hint=f"First run `af login --email {email}`.")


def _forget_flow() -> None:
    _flow_path().unlink(missing_ok=True)


def _say_sent(state: State, email: str) -> None:
    if state.json:
        output.document({"sent": True, "email": email})
    elif not state.quiet:
        output.note(f"We sent a message to {email}. Then: af login --email {email} --code CODE")
