"""Folders that should not be published as they are, through the real `af deploy`."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hostile import af, deploy, host_of, write
from tests.e2e.platform import AF, Running, running


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("folders")) as started:
        yield started


def refused(platform: Running, folder: Path, *options: str, code: int = 2) -> str:
    """What `af deploy` says on standard error; it must have refused."""
    done = af(platform, "deploy", folder, *options)
    assert done.code == code, (done.code, done.out, done.err)
    assert done.out == ""
    assert "error[AF" in done.err
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err.replace("\\x1b", "")
    return done.err


def test_an_empty_folder_is_refused(platform: Running, tmp_path: Path) -> None:
    assert "nothing to deploy" in refused(platform, tmp_path)


def test_a_folder_that_is_absent_or_not_readable_is_named(platform: Running, tmp_path: Path) -> None:
    assert "nowhere" in refused(platform, tmp_path / "nowhere")


@pytest.mark.parametrize(
    "target", ["../../etc/passwd", "/etc/passwd", "..", "../outside-twin/x", "a/../../x"], ids=range(5)
)
def test_a_symlink_out_of_the_folder_is_refused(platform: Running, tmp_path: Path, target: str) -> None:
    folder = write(tmp_path / "outside", {"index.html": b"x", "a/b": b"y"})
    write(tmp_path / "outside-twin", {"x": b"secret"})
    (folder / "link").symlink_to(target)
    assert "leaves the folder" in refused(platform, folder)


def test_a_link_that_leaves_by_another_link_shows_nothing(platform: Running, tmp_path: Path) -> None:
    """`inner` is a folder link inside; `inner/../..` differs by how one walks. No content may come from outside."""
    write(tmp_path, {"secret.txt": b"top secret"})
    folder = write(tmp_path / "site", {"index.html": b"x", "a/b/c": b"y"})
    (folder / "inner").symlink_to("a/b")
    (folder / "tricky").symlink_to("inner/../../../secret.txt")
    done = af(platform, "deploy", folder, "--json")
    if done.code == 0:
        reply = platform.request("/tricky", host=host_of(done.json["site"]["url"]))
        assert b"top secret" not in reply.body


def test_links_inside_are_followed_and_loops_end(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "links", {"index.html": b"home", "a/x.txt": b"x"})
    (folder / "to-file").symlink_to("a/x.txt")
    (folder / "to-folder").symlink_to("a")
    (folder / "self").symlink_to("self")
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    (folder / "broken").symlink_to("absent")
    host = host_of(deploy(platform, folder)["site"]["url"])
    assert platform.request("/to-file", host=host).body == b"x"
    assert platform.request("/to-folder/x.txt", host=host).body == b"x"
    for path in ("/self", "/one", "/broken"):
        assert platform.request(path, host=host).status == 404, path


@pytest.mark.parametrize("name", [b"tab\there", b"line\nbreak", b"esc\x1b[31mred", b"\xff\xfe", b"del\x7f"])
def test_control_characters_and_bytes_that_are_no_text_are_refused(
    platform: Running, tmp_path: Path, name: bytes
) -> None:
    folder = write(tmp_path / "odd", {"index.html": b"x"})
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:
        file.write(b"x")
    said = refused(platform, folder)
    assert "cannot be published" in said
    assert not any(ord(letter) < 32 and letter != "\n" for letter in said), repr(said)


def test_the_longest_names_of_the_system_work(platform: Running, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "long", {"index.html": b"x", "n" * 255: b"long", "日" * 85: b"wide", "a/" * 100 + "z": b"deep"}
    )
    host = host_of(deploy(platform, folder)["site"]["url"])
    assert platform.request("/" + "n" * 255, host=host).body == b"long"
    assert platform.request("/" + "%E6%97%A5" * 85, host=host).body == b"wide"
    assert platform.request("/" + "a/" * 100 + "z", host=host).body == b"deep"


def test_a_folder_nested_too_deeply_is_refused(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "deep", {"index.html": b"x", "d/" * 300 + "z": b"x"})
    assert "deep" in refused(platform, folder)


def test_names_that_differ_in_case_or_by_normal_form_stay_apart(platform: Running, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "case", {"index.html": b"x", "A.txt": b"1", "a.txt": b"2", "\u00e9": b"3", "e\u0301": b"4"}
    )
    host = host_of(deploy(platform, folder)["site"]["url"])
    found = [platform.request(path, host=host).body for path in ("/A.txt", "/a.txt", "/%C3%A9", "/e%CC%81")]
    assert found == [b"1", b"2", b"3", b"4"]


def test_sockets_and_pipes_are_refused_without_waiting(
    platform: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "special", {"index.html": b"x"})
    os.mkfifo(folder / "pipe")
    assert "pipe" in refused(platform, folder)
    (folder / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(folder)  # the path may be too long for a socket
        listener.bind("sock")
        assert "socket" in refused(platform, folder)


@pytest.mark.parametrize("folder_name", ["a--b", "x" * 60, "-a-", "A B  C", "0"])
def test_any_folder_name_gives_a_usable_slug(platform: Running, tmp_path: Path, folder_name: str) -> None:
    folder = write(tmp_path / folder_name, {"index.html": folder_name.encode()})
    site = deploy(platform, folder)["site"]
    assert len(site["slug"]) <= 40
    assert "--" not in site["slug"]
    assert platform.request("/", host=host_of(site["url"])).body == folder_name.encode()
    assert deploy(platform, folder)["site"]["id"] == site["id"], "the second deploy goes to the same site"


@pytest.mark.parametrize("folder_name", ["api", "WWW", "日本", "..."])
def test_a_folder_whose_name_cannot_be_an_address_says_how_to_give_one(
    platform: Running, tmp_path: Path, folder_name: str
) -> None:
    folder = write(tmp_path / folder_name, {"index.html": b"x"})
    assert "--site" in refused(platform, folder)


def test_a_site_named_by_an_id_that_is_absent_is_not_made(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "x", {"index.html": b"x"})
    refused(platform, folder, "--site", "sit_01k86qbmskrigrlgyc7ie47aqh", code=5)


@pytest.mark.parametrize(
    "slug", ["api", "localhost", "a--b", "-a", "a-", "x" * 41, "日本", "a.b", "a/b", "", "ipfs", "a\nb"]
)
def test_a_slug_that_cannot_be_is_refused(platform: Running, tmp_path: Path, slug: str) -> None:
    done = af(platform, "sites", "create", "A site", "--slug", slug)
    assert done.code == 2, (done.code, done.err)
    assert "error[AF" in done.err


def test_a_slug_is_taken_once(platform: Running) -> None:
    assert af(platform, "sites", "create", "Mine", "--slug", "taken").code == 0
    done = af(platform, "sites", "create", "Mine too", "--slug", "taken")
    assert done.code == 6
    assert "taken" in done.err


def test_hidden_files_stay_at_home(platform: Running, tmp_path: Path) -> None:
    files = {"index.html": b"x", ".env": b"SECRET=1", ".git/config": b"x", "a/.ssh/id": b"k", ".well-known/x": b"wk"}
    host = host_of(deploy(platform, write(tmp_path / "hidden", files))["site"]["url"])
    for path in ("/.env", "/.git/config", "/a/.ssh/id"):
        assert platform.request(path, host=host).status == 404
    assert platform.request("/.well-known/x", host=host).body == b"wk"


def test_a_working_folder_that_was_deleted_is_said_so(platform: Running, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && "$2" sites list; exec "$2" deploy'
    done = subprocess.run(
        ["sh", "-c", script, "sh", gone, AF], env=platform.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "AF9099" not in done.stderr


def test_the_shared_options_count_after_every_verb(platform: Running, tmp_path: Path) -> None:
    folder = write(tmp_path / "shared", {"index.html": b"x"})
    for verb in (["deploy", folder], ["storage", "add", folder], ["sites", "list"], ["whoami"]):
        assert af(platform, *verb, "--profile", "local", "--json").code == 0, verb
        done = af(platform, *verb, "--profile", "absent", "--json")
        assert (done.code, "absent" in done.err) == (5, True), (verb, done.err)
