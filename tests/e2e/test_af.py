"""The `af` command against a running platform: a site's whole life, content, tokens, and what each mistake says."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.platform import AF, Running, environment, running_on


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def af(platform: Running, *arguments: str | Path, cwd: Path | None = None, **settings: str) -> Done:
    done = subprocess.run(
        [AF, *arguments],
        env={**platform.environment, **settings},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def ok(platform: Running, *arguments: str | Path, cwd: Path | None = None, **settings: str) -> Any:
    """The JSON that a successful command prints."""
    done = af(platform, *arguments, "--json", cwd=cwd, **settings)
    assert done.code == 0, done.out + done.err
    return done.json


@pytest.fixture(scope="module")
def platform(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One HTTP process on SQLite; two on PostgreSQL."""
    with running_on(database_kind, request, tmp_path_factory.mktemp(f"af-{database_kind}")) as started:
        yield started


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def page(platform: Running, url: str, path: str = "/") -> tuple[int, bytes]:
    host = url.split("//")[1].split(":")[0]
    reply = platform.request(path, host=host)
    return reply.status, reply.body


def test_deploy_prints_exactly_the_keys_of_the_contract_and_the_site_is_live(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "first", {"index.html": b"one", "style.css": b"p{}"})
    done = ok(platform, "deploy", folder)
    assert {"id", "slug", "url"} == set(done["site"])
    keys = {"id", "status", "cid", "url", "files", "bytes", "uploadedFiles", "uploadedBytes", "durationMs"}
    assert keys <= set(done["deployment"])
    assert (done["site"]["slug"], done["deployment"]["status"]) == ("first", "ready")
    assert (done["deployment"]["files"], done["deployment"]["bytes"]) == (2, 6)
    assert done["deployment"]["uploadedFiles"] == 2
    assert page(platform, done["site"]["url"]) == (200, b"one")
    assert page(platform, done["deployment"]["url"]) == (200, b"one")


def test_a_redeploy_sends_the_changed_file_and_its_folders_only(platform: Running, tmp_path: Path) -> None:
    files = {f"assets/{n}.txt": b"%d" % n * 5000 for n in range(50)} | {"index.html": b"before"}
    folder = write(tmp_path / "changing", files)
    ok(platform, "deploy", folder)
    again = ok(platform, "deploy", folder)
    assert (again["deployment"]["uploadedFiles"], again["deployment"]["uploadedBytes"]) == (0, 0)
    write(folder, {"index.html": b"after!"})
    changed = ok(platform, "deploy", folder)
    assert changed["deployment"]["uploadedFiles"] == 1
    assert 0 < changed["deployment"]["uploadedBytes"] < 500  # the file and the top folder
    assert page(platform, changed["site"]["url"]) == (200, b"after!")


def test_rollback_is_seen_by_the_next_request_and_no_request_fails_meanwhile(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "flip", {"index.html": b"old"})
    first = ok(platform, "deploy", folder)
    write(folder, {"index.html": b"new"})
    second = ok(platform, "deploy", folder)
    seen: list[tuple[int, bytes]] = []
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            seen.append(page(platform, first["site"]["url"]))

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        back = ok(platform, "rollback", "--site", "flip")
        assert page(platform, first["site"]["url"]) == (200, b"old")
        ok(platform, "rollback", second["deployment"]["id"])
        assert page(platform, first["site"]["url"]) == (200, b"new")
    finally:
        stop.set()
        thread.join()
    assert back["deployment"]["cid"] == first["deployment"]["cid"]
    assert seen
    assert set(seen) <= {(200, b"old"), (200, b"new")}
    assert page(platform, second["deployment"]["url"]) == (200, b"new")  # its own address never changes


def test_a_preview_leaves_the_site_alone_until_it_is_promoted(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "stage", {"index.html": b"public"})
    live = ok(platform, "deploy", folder)
    write(folder, {"index.html": b"draft"})
    preview = ok(platform, "deploy", folder, "--preview")
    assert page(platform, live["site"]["url"]) == (200, b"public")
    assert page(platform, preview["deployment"]["url"]) == (200, b"draft")
    ok(platform, "promote", preview["deployment"]["id"])
    assert page(platform, live["site"]["url"]) == (200, b"draft")


def test_diff_and_logs_tell_what_changed(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "changes", {"index.html": b"a", "gone.txt": b"x", "_redirects": b"/old / 301\n"})
    ok(platform, "deploy", folder)
    (folder / "gone.txt").unlink()
    write(folder, {"index.html": b"abc", "new.txt": b"yy", "_redirects": b"/old /new.txt 302\nnonsense\n"})
    done = ok(platform, "deploy", folder)
    assert [(rule["line"], bool(rule["reason"])) for rule in done["deployment"]["rejectedRules"]] == [(2, True)]
    diff = ok(platform, "diff", "--site", "changes")
    assert {file["path"] for file in diff["added"]} == {"new.txt"}
    assert {file["path"] for file in diff["removed"]} == {"gone.txt"}
    assert {file["path"] for file in diff["changed"]} == {"index.html", "_redirects"}
    assert diff["redirectsAdded"]
    assert diff["redirectsRemoved"]
    assert any("changes" in entry["message"] for entry in ok(platform, "logs", "--site", "changes")["data"])


def test_deploy_without_a_folder_finds_the_built_site_and_the_configured_name(
    platform: Running, tmp_path: Path
) -> None:
    project = write(tmp_path / "app", {"dist/index.html": b"built", "package.json": b'{"scripts":{"build":"vite"}}'})
    (project / "af.json").write_text('{"site": "named"}')
    done = ok(platform, "deploy", cwd=project)
    assert done["site"]["slug"] == "named"
    assert page(platform, done["site"]["url"]) == (200, b"built")


def test_sources_without_a_build_say_which_command_builds_them(platform: Running, tmp_path: Path) -> None:
    write(tmp_path / "src", {"package.json": b'{"scripts":{"build":"vite build"}}', "pnpm-lock.yaml": b""})
    done = af(platform, "deploy", cwd=tmp_path / "src")
    assert done.code == 3
    assert "pnpm run build" in done.err
    assert done.out == ""


def test_the_same_folder_has_the_same_cid_in_a_dry_run(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "same", {"index.html": b"x", "a/b.txt": b"y"})
    dry = af(platform, "deploy", folder, "--dry-run")
    assert dry.out.strip() == ok(platform, "deploy", folder)["deployment"]["cid"]


def test_sites_are_listed_renamed_and_deleted(platform: Running) -> None:
    made = ok(platform, "sites", "create", "Short lived")
    assert made["slug"] == "short-lived"
    assert made["slug"] in [site["slug"] for site in ok(platform, "sites", "list")["data"]]
    assert ok(platform, "sites", "rename", made["slug"], "renamed")["slug"] == "renamed"
    assert af(platform, "sites", "delete", "renamed").code == 2  # not asked in CI, so it needs --yes
    ok(platform, "sites", "delete", "renamed", "--yes")
    gone = af(platform, "sites", "get", "renamed")
    assert gone.code == 5
    assert "error[AF" in gone.err
    assert "fix:" in gone.err


@pytest.mark.parametrize(("slug", "code"), [("api", 2), ("two--dashes", 2), ("x" * 41, 2), ("UPPER", 2)])
def test_reserved_and_malformed_slugs_are_refused(platform: Running, slug: str, code: int) -> None:
    done = af(platform, "sites", "create", "A name", "--slug", slug)
    assert done.code == code, done.err
    assert "error[AF" in done.err


def test_a_taken_slug_is_a_conflict(platform: Running) -> None:
    ok(platform, "sites", "create", "Taken", "--slug", "taken")
    assert af(platform, "sites", "create", "Taken", "--slug", "taken").code == 6


def test_a_reserved_name_is_refused_on_deploy_and_no_site_is_made(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "x", {"index.html": b"x"})
    done = af(platform, "deploy", folder, "--site", "admin")
    assert done.code == 2
    assert "--site" in done.err or "reserved" in done.err
    assert not [site for site in ok(platform, "sites", "list")["data"] if site["slug"].startswith("admin")]


def test_content_is_added_fetched_exported_imported_and_dropped(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "photos", {"a.bin": bytes(range(256)) * 8000, "sub/b.txt": b"hello"})
    pin = ok(platform, "storage", "add", folder)["pin"]
    assert pin["cid"] in [row["cid"] for row in ok(platform, "storage", "list")["data"]]
    fetched = af(platform, "storage", "get", pin["cid"], "sub/b.txt")
    assert fetched.out == "hello"
    car = tmp_path / "photos.car"
    ok(platform, "storage", "get", pin["cid"], "--car", "-o", car)
    answer = ok(platform, "storage", "import", car)
    assert (answer["roots"], answer["complete"]) == ([pin["cid"]], True)
    ok(platform, "storage", "delete", pin["cid"])
    assert pin["cid"] not in [row["cid"] for row in ok(platform, "storage", "list")["data"]]
    dry = ok(platform, "storage", "gc", "--dry-run")
    assert dry["dryRun"] is True
    scrubbed = ok(platform, "storage", "scrub")
    assert scrubbed["corrupt"] == []
    assert ok(platform, "storage", "stats")["blocks"] > 0


def test_tokens_are_shown_once_scoped_and_revocable(platform: Running, tmp_path: Path) -> None:
    made = ok(platform, "tokens", "create", "--name", "reader", "--scope", "sites:read", "--expires", "1d")
    assert made["token"].startswith("af_live_")
    listed = ok(platform, "tokens", "list")["data"]
    assert made["id"] in [row["id"] for row in listed]
    assert made["token"] not in json.dumps(listed)
    assert af(platform, "sites", "list", AF_TOKEN=made["token"]).code == 0
    folder = write(tmp_path / "no", {"index.html": b"x"})
    assert af(platform, "deploy", folder, AF_TOKEN=made["token"]).code == 4
    ok(platform, "tokens", "revoke", made["id"])
    deadline = time.monotonic() + 8
    while (done := af(platform, "sites", "list", AF_TOKEN=made["token"])).code == 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert done.code == 4
    assert "error[AF" in done.err


def test_login_logout_and_whoami_keep_profiles_apart(platform: Running, tmp_path: Path) -> None:
    token = ok(platform, "tokens", "create", "--name", "second", "--scope", "all")["token"]
    settings = {"AF_CONFIG_DIR": str(tmp_path / "config")}
    nobody = af(platform, "whoami", AF_API_URL=platform.ready["url"], **settings)
    assert nobody.code == 4
    assert "af login" in nobody.err
    ok(platform, "login", "--token", token, "--url", platform.ready["url"], "--profile", "work", **settings)
    who = ok(platform, "whoami", **settings)
    assert (who["user"]["username"], who["profile"], who["project"]) == ("owner", "work", "default")
    assert (tmp_path / "config" / "credentials.json").stat().st_mode & 0o777 == 0o600
    ok(platform, "logout", **settings)
    assert af(platform, "whoami", AF_API_URL=platform.ready["url"], **settings).code == 4
    wrong = af(platform, "login", "--token", "af_live_nope", "--url", platform.ready["url"], **settings)
    assert wrong.code == 4


def test_a_login_link_signs_a_browser_in_once(platform: Running) -> None:
    link = ok(platform, "login", "--link")["url"]
    path = link.split(f":{platform.port}", 1)[1]
    shown = platform.request(path)
    assert shown.status == 200
    assert "set-cookie" not in shown.headers  # looking at the page does not use the link up


def test_projects_are_listed_made_chosen_and_deleted(platform: Running, tmp_path: Path) -> None:
    made = ok(platform, "projects", "create", "Side project")
    assert made["slug"] in [p["slug"] for p in ok(platform, "projects", "list")["data"]]
    assert ok(platform, "sites", "list", AF_PROJECT_ID=made["id"])["data"] == []
    ok(platform, "projects", "delete", made["slug"], "--yes")
    assert made["slug"] not in [p["slug"] for p in ok(platform, "projects", "list")["data"]]


def test_help_mistakes_explanations_and_completion(platform: Running) -> None:
    typo = af(platform, "deply")
    assert typo.code == 2
    assert "deploy" in typo.err
    assert "AF1002" in af(platform, "explain", "AF1002").out
    assert af(platform, "explain", "AF99999").code == 2
    for shell in ("bash", "zsh", "fish"):
        assert "_AF_COMPLETE" in af(platform, "completion", shell).out
    checks = ok(platform, "doctor")
    assert checks


def test_a_platform_that_is_away_ends_the_command_within_its_time(tmp_path: Path) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [AF, "sites", "list"],
        env={**environment(tmp_path), "AF_TOKEN": "af_live_x", "AF_API_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 8
    assert time.monotonic() - started < 25
    assert "af up" in done.stderr
