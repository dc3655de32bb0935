"""``af explain`` and ``af completion``: help that needs no platform."""

from __future__ import annotations

import json
from importlib.resources import files

import click

from af.cli import output
from af.cli.frame import State, command


@command("explain")
@click.argument("reference", required=False)
def explain(state: State, reference: str | None) -> None:
    """Say what an error such as AF4001 means and how to get out of it; without one, list them all."""
    from alternatefutures.errors import UsageError

    known = json.loads(files("af.cli").joinpath("errors.json").read_text("utf-8"))
    if reference is None:
        if state.json:
            output.document({"data": known})
            return
        output.table(
            ("ERROR", "CODE", "EXIT"), [(e["reference"], e["code"], str(e["exitCode"])) for e in known], empty=""
        )
        return
    wanted = reference.upper()
    found = next((e for e in known if wanted in (e["reference"], e["code"].upper())), None)
    if found is None:
        raise UsageError(f"There is no error {reference!r}.", hint="`af explain` lists them all.")
    if state.json:
        output.document(found)
        return
    output.result(f"{found['reference']} {found['code']} (exit code {found['exitCode']})")
    output.result("")
    output.result(click.wrap_text(found["explain"], 88))


@command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(state: State, shell: str) -> None:
    """Print the completion script of SHELL, for example: source <(af completion bash)"""
    from click.shell_completion import get_completion_class

    from af.cli.root import cli

    kind = get_completion_class(shell)
    assert kind is not None, "the choices above are what click supports"
    script = kind(cli, {}, "af", "_AF_COMPLETE").source()
    if state.json:
        output.document({"shell": shell, "script": script})
    else:
        output.result(script)
