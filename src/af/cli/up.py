"""``af up``, ``af serve`` and ``af doctor``: the one file of the command line that reaches into the platform itself."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import af
from af.cli import output
from af.cli.frame import State, command

if TYPE_CHECKING:
    from collections.abc import Callable

    from af.server.launch import Ready


def _options(verb: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 picks a free one."),
            click.option("--host", help="Address to listen on."),
            click.option("--data", type=click.Path(path_type=Path), help="Folder for everything that is kept."),
            click.option("--domain", help="Main address: dashboard, API, sites."),
            click.option("--database-url", help="postgresql://… instead of SQLite in the data folder."),
            click.option("--workers", type=click.IntRange(1, 64), help="Number of HTTP processes."),
            click.option("--kubo/--no-kubo", default=None, help="Run a Kubo node beside, which gets public content."),
            click.option("--reload", is_flag=True, help="Restart the parts when the platform's code changes."),
        )
    ):
        verb = option(verb)
    return verb


@command()
@_options
@click.option("--with-example", is_flag=True, help="Deploy the example site and print its address.")
def up(state: State, with_example: bool, **options: Any) -> None:
    """Start the whole platform on this machine and keep it running."""
    _run(state, ("all",), with_example=with_example, **options)


@command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET…")
@_options
def serve(state: State, targets: tuple[str, ...], **options: Any) -> None:
    """Start some targets only: gateway, api, worker (or all). For more than one machine, on one database."""
    _run(state, targets, with_example=False, **options)


@command()
@click.option("--data", type=click.Path(path_type=Path), help="Data folder of the platform to check.")
@click.option("--database-url", help="Its database, when not SQLite in the data folder.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port that it is to listen on.")
def doctor(state: State, **options: Any) -> None:
    """Check this machine and the platform's data folder, and say what to mend."""
    from af.server import doctor as checks
    from af.server.launch import resolve

    found = checks.examine(resolve(os.environ, **options), os.environ)
    failed = any(check.status == "fail" for check in found)
    if state.json:
        output.document({"ok": not failed, "checks": [check.as_dict() for check in found]})
    else:
        for check in found:
            mark = {
                "ok": output.colored("32", "ok  ", sys.stdout),
                "warn": output.colored("33", "warn", sys.stdout),
            }.get(check.status, output.colored("1;31", "FAIL", sys.stdout))
            output.result(f"{mark}  {check.name.ljust(checks.NAME_WIDTH)}  {check.detail}")
            if check.fix:
                output.result(f"      {' ' * checks.NAME_WIDTH}  fix: {check.fix}")
    if failed:
        raise click.exceptions.Exit(1)


def _run(state: State, names: tuple[str, ...], *, with_example: bool, reload: bool, **options: Any) -> None:
    from af.server.errors import Stopped
    from af.server.launch import launch, resolve, targets_named

    os.chdir(state.folder)  # a relative data folder is in there
    targets = targets_named(names)
    if targets == {"worker"} and options["port"] is None and "AF_PORT" not in os.environ:
        options["port"] = 0  # it answers /health and /ready only, and must not be in the way of the others
    settings = resolve(os.environ, **options)

    def on_ready(ready: Ready) -> None:
        _announce(state, ready)
        if with_example:  # beside, so that signals are taken meanwhile
            threading.Thread(target=_deploy_example, args=(state, ready), daemon=True).start()

    sources = Path(af.__file__).parent if reload else None
    ending = launch(settings, targets, environment=os.environ, on_ready=on_ready, sources=sources)
    if ending.failure is not None:
        raise Stopped(ending.failure)
    raise click.exceptions.Exit(ending.code)


def _announce(state: State, ready: Ready) -> None:
    if state.json or state.jsonl:
        output.line(
            {
                "event": "ready",
                "url": ready.url,
                "api": ready.api,
                "pid": ready.pid,
                "loginUrl": ready.login_url,
                "data": str(ready.data),
                "port": ready.port,
            }
        )
        return
    from af.server import banner

    output.result(banner.text(ready))


def _deploy_example(state: State, ready: Ready) -> None:
    from af.server import example
    from af.server.errors import ExampleFailed

    try:
        url = example.deploy(ready)
    except ExampleFailed as error:
        output.fail_with(error, as_json=state.json)
        return
    if state.json or state.jsonl:
        output.line({"event": "example", "url": url})
    else:
        output.result(f"  Example     {url}\n")
