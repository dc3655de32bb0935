"""House rules that a program can check (STYLE.md, ARCHITECTURE.md). Each failure names the place and what to do."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
BLOB_BYTES_MAX = 256 * 1024
BLOB_EXCEPTIONS = {"requirements.lock"}  # one file by nature: every package with the hashes of all its builds
GENERATED = ("src/alternatefutures/_generated/*",)


@dataclass(frozen=True, slots=True)
class Ban:
    """A call that code in src/ may not make, what to use instead, and the files that implement the replacement."""

    call: str  # a regular expression for the whole dotted name as written
    instead: str
    allowed: tuple[str, ...] = ()


CLIENTS = ("src/af/cli/*", "src/alternatefutures/*")  # have no Context
BANS = (
    Ban(
        r"(.*\.)?datetime\.(now|utcnow|today)|(.*\.)?date\.today",
        "ctx.now or core.clock",
        ("src/af/core/clock.py", *CLIENTS),
    ),
    Ban(r"time\.time(_ns)?|time", "ctx.now or core.clock", ("src/af/core/clock.py", *CLIENTS)),
    Ban(r"(uuid\.)?uuid[1-8]", "core.ids", ("src/af/core/ids.py",)),
    Ban(r"print|pprint(\.pprint)?", "cli.output, or ctx.log in a server", ("src/af/cli/output.py",)),
    Ban(
        r"(requests|httpx)\.(get|post|put|patch|delete|request|Session|Client|AsyncClient)|(urllib\.request\.)?urlopen|aiohttp\.(ClientSession|request)",
        "core.http",
        ("src/af/core/http.py", "src/af/storage/backends/s3/client.py"),  # the second: one address, the operator's
    ),
    Ban(r"os\.system|os\.popen|subprocess\.getoutput|eval|exec", "an argument list, without a shell"),
    Ban(r"(pickle|marshal)\.loads?", "JSON or msgspec: these run what they read"),
    Ban(r"(tempfile\.)?mktemp", "tempfile.mkstemp or mkdtemp"),
)

# Where any exception may be caught: an edge answers with Internal, a runner records the failure of a job.
CATCH_ALL = (
    *("src/af/core/web.py", "src/af/core/workflows.py", "src/af/core/batch.py", "src/af/core/http.py"),
    *("src/af/*/http.py", "src/af/*/graphql.py", "src/af/*/jobs.py", "src/af/cli/frame.py"),
    *("src/af/api/*", "src/af/mcp/*", "src/af/gateway/*", "src/af/server/*", "src/af/pages/frame.py"),
)

# Text that may not be in a file: (files, pattern, what to do instead).
CODE = "src/* bin/* dashboard/* sdk/* bench/*"
LOCKS = "*.lock *-lock.json *-lock.yaml"
TEXT = (
    (CODE, r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))", "open an issue and write TODO(#number), or do it"),
    ("*", r"(?<![\w.~-])/(root|work|home/\w+)/", "a path of one machine: use a relative path, a setting or tmp_path"),
    (LOCKS, r"^(?!\s*\"url\":).*https?://", "lock without addresses (npm: omit-lockfile-registry-resolved)"),
    (LOCKS, r"\b(registry|files|index)\.[a-z-]+\.", "name packages, not the host they come from"),
)

# Which part of a domain other packages may import beside its __init__, and which packages those are.
DOOR = {
    "graphql": ("af.api",),
    "http": ("af.server",),
    "jobs": ("af.server",),
    "backends": ("af.server",),
    # Pages are an edge of these domains, outside their folders: like their http modules they name errors and values.
    **dict.fromkeys(("addresses", "cookies", "devices", "errors", "models"), ("af.pages",)),
}


@functools.cache
def repository_files() -> tuple[str, ...]:
    """What git tracks or would add, relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return tuple(sorted(name for name in set(listed.split("\0")) if name and (ROOT / name).is_file()))


def matches(name: str, patterns: tuple[str, ...] | list[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


@functools.cache
def trees(folder: str) -> dict[str, ast.Module]:
    """The parsed Python files in a folder, generated ones apart."""
    names = [n for n in repository_files() if n.startswith(folder) and n.endswith(".py") and not matches(n, GENERATED)]
    return {name: ast.parse((ROOT / name).read_text(), name) for name in names}


def source_nodes() -> Iterator[tuple[str, ast.AST]]:
    for name, tree in trees("src/").items():
        for node in ast.walk(tree):
            yield name, node


def report(found: list[str]) -> None:
    if found:
        pytest.fail("\n".join(sorted(found)), pytrace=False)


def test_other_packages_see_a_domain_only_by_its_front_door() -> None:
    graph = grimp.build_graph("af", cache_dir=None)
    domains = {package for package in graph.find_children("af") if f"{package}.service" in graph.modules}
    found = []
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            owner = ".".join(imported.split(".")[:2])
            if owner not in domains or imported == owner or f"{importer}.".startswith(f"{owner}."):
                continue
            part = imported.split(".")[2]
            if part == "graphql" and importer.endswith(".graphql"):
                continue  # a type may refer to a lower domain's type
            if any(f"{importer}.".startswith(f"{allowed}.") for allowed in DOOR.get(part, ())):
                continue
            for detail in graph.get_import_details(importer=importer, imported=imported):
                place = importer.replace(".", "/")
                found.append(
                    f"src/{place}.py:{detail['line_number']}: imports {imported}: use what {owner} itself offers"
                )
    report(found)


def test_banned_calls_are_not_made() -> None:
    found = []
    for name, node in source_nodes():
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            for ban in BANS:
                if re.fullmatch(ban.call, called) and not matches(name, ban.allowed):
                    found.append(f"{name}:{node.lineno}: {called}(): use {ban.instead}")
    report(found)


def test_only_edges_and_runners_catch_everything() -> None:
    found = []
    for name, node in source_nodes():
        if isinstance(node, ast.ExceptHandler) and not matches(name, CATCH_ALL):
            caught = ast.unparse(node.type) if node.type else "everything"
            cleans_up = isinstance(node.body[-1], ast.Raise)  # passes the failure on
            if re.search(r"everything|\b(Base)?Exception\b", caught) and not cleans_up:
                found.append(f"{name}:{node.lineno}: catches {caught}: name what you can handle, let the rest pass")
    report(found)


def test_files_and_functions_are_short() -> None:
    found = []
    for name, tree in (trees("src/") | trees("tests/") | trees("bench/")).items():
        lines = len((ROOT / name).read_text().splitlines())
        if lines > FILE_LINES_MAX:
            found.append(f"{name}:1: {lines} lines: split it by subject (at most {FILE_LINES_MAX})")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "/migrations/versions/" not in name:
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    found.append(f"{name}:{node.lineno}: {node.name} has {length} lines (at most {FUNCTION_LINES_MAX})")
    report(found)


def test_packages_say_what_they_are() -> None:
    packages = {name: tree for name, tree in trees("src/").items() if name.endswith("/__init__.py")}
    report(
        [
            f"{name}:1: a package opens with a paragraph on what it is and is not"
            for name, tree in packages.items()
            if not Path(name).parent.name.startswith("_") and not ast.get_docstring(tree)
        ]
    )


@pytest.mark.parametrize(("files", "pattern", "why"), TEXT)
def test_unwanted_text_is_absent(files: str, pattern: str, why: str) -> None:
    found = []
    for name in repository_files():
        if not matches(name, files.split()):
            continue
        try:
            lines = (ROOT / name).read_text().splitlines()
        except UnicodeDecodeError:
            continue  # not text
        found += [
            f"{name}:{number}: {line.strip()[:100]}: {why}"
            for number, line in enumerate(lines, 1)
            if re.search(pattern, line)
        ]
    report(found)


def test_no_large_file_is_in_the_repository() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in repository_files() if name not in BLOB_EXCEPTIONS}
    report(
        [f"{name}:1: {size} bytes: generate it or fetch it" for name, size in sizes.items() if size > BLOB_BYTES_MAX]
    )
