"""The closed set of errors: every one can be looked up, and every kind says what a program must know."""

from __future__ import annotations

import re
from importlib import import_module
from pkgutil import walk_packages

import af
from af.core.errors import KINDS, Error, InvalidInput, every_error


def everything() -> list[type[Error]]:
    """All error classes of the platform, with the modules that declare them imported."""
    for module in walk_packages(af.__path__, "af."):
        declares = module.name.endswith(".errors") or module.name.startswith("af.core.")
        if declares and not module.name.endswith((".__main__", ".env")):
            import_module(module.name)
    return list(dict.fromkeys(every_error()))


def test_codes_and_numbers_name_one_error_each() -> None:
    found = [cls for cls in everything() if "number" in vars(cls)]
    assert len({cls.code for cls in found}) == len(found)
    assert len({cls.number for cls in found}) == len(found)


def test_every_error_has_its_own_entry() -> None:
    for cls in everything():
        assert {"code", "number"} <= vars(cls).keys(), f"{cls.__name__} declares no code or number"
        assert re.fullmatch(r"[a-z][a-z0-9_]*", cls.code)
        assert cls.explain.strip().endswith("."), f"{cls.__name__} explains nothing"


def test_domains_add_errors_not_kinds() -> None:
    kinds = {kind.kind: kind for kind in KINDS}
    for cls in everything():
        kind = kinds[cls.kind]
        assert issubclass(cls, kind)
        assert (cls.exit_code, cls.http_status // 100) == (kind.exit_code, kind.http_status // 100), cls.__name__


def test_an_error_shows_its_message_and_keeps_its_detail() -> None:
    error = InvalidInput("Wrong.", hint="Do this.", detail="inner", field="name", retry_after_seconds=2)
    assert str(error) == error.message == "Wrong."
    assert (error.hint, error.detail, error.field, error.retry_after_seconds) == ("Do this.", "inner", "name", 2)
    assert error.reference == "AF1001"
