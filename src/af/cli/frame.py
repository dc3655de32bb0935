"""The frame around every verb: lazy look-up, the options that all verbs share, errors and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from af.cli import output

if TYPE_CHECKING:
    from pathlib import Path

    from alternatefutures import Client

INTERRUPTED = 130
Verb = Callable[..., None]


@dataclass(slots=True)
class State:
    """What the shared options say. ``jsonl`` implies ``json``: what is no stream is one object."""

    json: bool = False
    jsonl: bool = False
    quiet: bool = False
    yes: bool = False
    profile: str | None = None

    @property
    def folder(self) -> Path:
        """The folder to act in: the one that ``af`` was started in, or that of ``--cwd``."""
        from pathlib import Path

        try:
            return Path.cwd()
        except FileNotFoundError as error:
            from alternatefutures.errors import UsageError

            raise UsageError("The folder that you are in was deleted.", hint="Go to another one with cd.") from error

    @property
    def attended(self) -> bool:
        """Whether a person is at a terminal, outside CI."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")

    @property
    def interactive(self) -> bool:
        """Whether a question may be asked: a person, and not for a program that reads JSON."""
        return self.attended and not self.json

    def project_client(self) -> Client:
        """A `client` that knows its project: what names no project itself is about that one."""
        client = self.client()
        client.project()
        return client

    def client(self) -> Client:
        """A client for the address and token that apply here (`af.cli.config`)."""
        from af.cli import config
        from alternatefutures import Client
        from alternatefutures.errors import NotSignedIn

        access = config.access(self.profile)
        if not access.token:
            raise NotSignedIn(
                f"You are not signed in at {access.url}.",
                cause=f"Profile {access.profile!r} has no token for this address." if access.profile else "",
                hint="Run `af login`, or set AF_TOKEN. `af up` signs you in to a local platform.",
            )
        if access.session:
            from af.cli.keeping import credential

            return Client(url=access.url, project_id=access.project_id, credential=credential(access))
        return Client(
            url=access.url,
            token=access.token,
            project_id=access.project_id,
            refresh=lambda: config.access(self.profile).token,  # `af login` may have run meanwhile
        )


def _store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is None or value is False:
        return
    state = context.find_root().ensure_object(State)
    if parameter.name == "no_color":
        os.environ["NO_COLOR"] = "1"
    elif parameter.name == "cwd":
        os.chdir(value)
    else:
        setattr(state, str(parameter.name), value)
        state.json = state.json or state.jsonl


def _shared_options() -> list[click.Parameter]:
    def flag(name: str, short: str | None, help: str) -> click.Option:
        names = [f"--{name}"] + ([short] if short else [])
        return click.Option(names, is_flag=True, help=help, expose_value=False, callback=_store)

    return [
        flag("json", None, "Print one JSON object."),
        flag("jsonl", None, "Print one JSON object per event."),
        flag("quiet", "-q", "Print the result only."),
        flag("yes", "-y", "Answer yes to every question."),
        flag("no-color", None, "Use no colours."),
        click.Option(["--profile"], help="Profile to act as.", expose_value=False, callback=_store),
        click.Option(
            ["--cwd"],
            type=click.Path(exists=True, file_okay=False),
            help="Act as if started in this folder.",
            is_eager=True,  # paths among the other options and arguments are meant in there
            expose_value=False,
            callback=_store,
        ),
    ]


class Command(click.Command):
    """A verb, with the shared options after its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *_shared_options()]


class Noun(click.Group):
    """A group of verbs about one thing."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *_shared_options()]


class Group(click.Group):
    """The root: knows every verb's one-line help and imports a verb's module only when it runs."""

    def __init__(self, *args: Any, verbs: dict[str, tuple[str, str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = verbs
        self.params = [*self.params, *_shared_options()]

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError:  # caught here, as click would make it a failure
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # keeps the interpreter's last flush quiet
            return 0

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.verbs:
            return None
        module, _, attribute = self.verbs[name][1].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.verbs and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.verbs, n=1)
            raise click.UsageError(
                f"There is no command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else "")
            )
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        for section in dict.fromkeys(section for section, _, _ in self.verbs.values()):
            with formatter.section(section):
                formatter.write_dl([(name, text) for name, (s, _, text) in self.verbs.items() if s == section])


def command(*args: Any, **kwargs: Any) -> Callable[[Verb], click.Command]:
    """Declare a verb; it receives the `State` as its first argument."""

    def declare(verb: Verb) -> click.Command:
        made: click.Command = click.command(*args, cls=Command, **kwargs)(_with_state(verb))
        return made

    return declare


def verb(noun: click.Group, *args: Any, **kwargs: Any) -> Callable[[Verb], click.Command]:
    """Declare a verb of ``noun``."""

    def declare(function: Verb) -> click.Command:
        made: click.Command = noun.command(*args, cls=Command, **kwargs)(_with_state(function))
        return made

    return declare


def _with_state(verb: Verb) -> Verb:
    from functools import wraps

    @wraps(verb)
    def call(*args: Any, **kwargs: Any) -> None:
        verb(click.get_current_context().find_root().ensure_object(State), *args, **kwargs)

    return call


def run(cli: click.Group, arguments: Sequence[str]) -> int:
    """Run ``cli`` and return the exit code; every failure is printed once, in one form."""
    as_json = "--json" in arguments or "--jsonl" in arguments
    for stream in (sys.stdout, sys.stderr):  # names may hold bytes that are not UTF-8; as "\udcff" they are still JSON
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        result = cli.main(list(arguments), prog_name="af", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        if not as_json:
            output.note(error.format_message())
            return 2
        message = "A command is needed."
        return output.fail(
            reference="AF9001",
            code="usage",
            message=message,
            cause="",
            hint="See `af --help`.",
            exit_code=2,
            as_json=True,
        )
    except click.UsageError as error:
        hint = f"{error.ctx.command_path} --help" if error.ctx else "af --help"
        return output.fail(
            reference="AF9001",
            code="usage",
            message=error.format_message(),
            cause="",
            hint=f"See `{hint}`.",
            exit_code=2,
            as_json=as_json,
        )
    except (click.Abort, KeyboardInterrupt):
        output.note("Interrupted.")
        return INTERRUPTED
    except Exception as error:  # the edge: a failure becomes text and an exit code
        if os.environ.get("AF_DEBUG"):
            raise
        return output.fail_with(error, as_json=as_json)
