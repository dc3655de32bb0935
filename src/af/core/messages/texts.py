"""Texts of messages: one plain text file per template and language, from which the HTML is made.

``templates/<language>/<template>.txt`` is the subject, then paragraphs with blank lines between them; an SMS has no
subject. A paragraph ``# {{ code }}`` shows a code, ``> Label: {{ link }}`` a link. The source is split into paragraphs
*before* values are put in, and ``base.html`` escapes each one, so a value is never more than a piece of text in its
paragraph, and translators write no HTML. A language that lacks a template falls back to English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from af.core.messages import Channel
from af.core.messages.catalogue import TEMPLATES

if TYPE_CHECKING:
    from jinja2 import Environment

FALLBACK = "en"
_FOLDER = Path(__file__).parent / "templates"
_CODE = "# "
_LINK = re.compile(r"> (?P<label>[^:{]+): (?P<link>.+)")


@dataclass(frozen=True, slots=True)
class Content:
    """A message ready to be sent. An SMS has neither ``subject`` nor ``html``."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Part:
    """A paragraph: ``kind`` is ``text``, ``code`` or ``link`` (then ``text`` is the address)."""

    kind: str
    text: str
    label: str = ""


@cache
def languages() -> tuple[str, ...]:
    """The languages that there are texts in (``de``, ``en``)."""
    return tuple(sorted(entry.name for entry in _FOLDER.iterdir() if entry.is_dir()))


def language(wanted: str) -> str:
    """The best language for a locale such as ``de-AT``; English for one that is not there, whatever was sent."""
    primary = wanted[:20].replace("_", "-").partition("-")[0].lower()
    return primary if primary in languages() else FALLBACK


def render(template: str, values: Mapping[str, str], *, locale: str, host: str) -> Content:
    """The message in the best language for ``locale``. ``host`` is the platform's name in it.

    :raises jinja2.UndefinedError: a value is missing (an older version of the platform wrote the message).
    """
    chosen = language(locale)
    known = {**values, "host": host}
    paragraphs = _source(template, chosen).split("\n\n")
    if TEMPLATES[template].channel is Channel.SMS:
        return Content("", "\n\n".join(_filled(paragraph, known) for paragraph in paragraphs), "")
    subject = _filled(paragraphs[0], known)
    parts = [part for paragraph in paragraphs[1:] if (part := _part(paragraph, known)).text]
    footer = _filled(_source("footer", chosen), known)
    html = _environment(html=True).get_template("base.html")
    return Content(
        subject,
        "\n\n".join([*(_as_text(part) for part in parts), f"-- \n{footer}"]) + "\n",
        html.render(locale=chosen, subject=subject, parts=parts, footer=footer),
    )


def _part(source: str, values: Mapping[str, str]) -> Part:
    if source.startswith(_CODE):
        return Part("code", _filled(source.removeprefix(_CODE), values))
    if found := _LINK.fullmatch(source):
        return Part("link", _filled(found["link"], values), found["label"])
    return Part("text", _filled(source, values))


def _as_text(part: Part) -> str:
    if part.kind == "code":
        return f"    {part.text}"
    return f"{part.label}:\n{part.text}" if part.kind == "link" else part.text


def _filled(source: str, values: Mapping[str, str]) -> str:
    return _environment(html=False).from_string(source).render(values).strip()


@cache
def _source(name: str, chosen: str) -> str:
    path = _FOLDER / chosen / f"{name}.txt"
    if not path.exists():
        path = _FOLDER / FALLBACK / f"{name}.txt"
    return path.read_text("utf-8").strip()


@cache
def _environment(*, html: bool) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=html,  # noqa: S701 - the other makes plain text, in which nothing has a meaning
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
