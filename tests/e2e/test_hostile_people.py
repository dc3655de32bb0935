"""What a newcomer does and gets wrong: every command's help, every mistake's words, the pages in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import hostile
from tests.e2e.hostile import af, deploy, host_of, write
from tests.e2e.platform import Running, running
from tests.support import chromium

ROOT = Path(__file__).parents[2]
GROUPS = ("sites", "projects", "tokens", "storage")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("people")) as started:
        yield started


def commands_in(text: str) -> list[str]:
    """The names in the lists of a help text."""
    return re.findall(r"^  ([a-z]+)  ", text.partition("Help:")[0] + text.partition("Commands:")[2], re.MULTILINE)


def test_every_command_has_help(platform: Running) -> None:
    top = af(platform, "--help")
    assert top.code == 0
    names = commands_in(top.out)
    assert {"up", "deploy", "rollback", "sites", "login"} <= set(names)
    for name in names:
        done = af(platform, name, "--help")
        assert (done.code, done.err) == (0, ""), name
        assert len(done.out) > 100, name
    for group in GROUPS:
        inner = commands_in("Help:" + af(platform, group, "--help").out)
        assert inner, group
        for name in inner:
            assert af(platform, group, name, "--help").code == 0, (group, name)


def test_a_command_without_arguments_shows_help_and_is_no_error(platform: Running) -> None:
    for arguments in ((), ("sites",), ("storage",)):
        done = af(platform, *arguments)
        assert "Usage: af" in done.out + done.err
        assert "error[" not in done.out + done.err, arguments


MISTAKES: dict[str, tuple[tuple[str, ...], int]] = {
    "a typo": (("deplyo",), 2),
    "a folder that is not there": (("deploy", "/nowhere"), 2),
    "a value left out": (("deploy", "--site"), 2),
    "an unknown error": (("explain", "AF9999"), 2),
    "an unknown deployment": (("rollback", "dep_x"), 5),
    "an unknown site": (("logs", "--site", "nope"), 5),
    "a deletion not confirmed": (("sites", "delete", "nope"), 5),
    "an unknown scope": (("tokens", "create", "--name", "x", "--scope", "bogus"), 2),
    "an unknown profile": (("--profile", "nope", "whoami"), 5),
    "no CAR": (("storage", "import", "/etc/hostname"), 2),
    "a port out of range": (("up", "--port", "99999"), 2),
    "an unknown target": (("serve", "nothing"), 2),
    "a shell that we do not know": (("completion", "tcsh"), 2),
    "a token that is none": (("login", "--token", "bad", "--url", "{url}"), 2),
    "an address that is none": (("login", "--token", "x", "--url", "ftp://x"), 2),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_with_what_and_how_to_mend_it(platform: Running, name: str) -> None:
    arguments, code = MISTAKES[name]
    filled = [argument.format(url=platform.ready["url"]) for argument in arguments]
    done = af(platform, *filled)
    assert done.code in (code, 4), (done.code, done.err)
    assert done.out == ""
    lines = done.err.splitlines()
    assert re.match(r"error\[AF\d{4}\]: .{10,}", lines[0]), done.err
    assert any(re.match(r"fix: .{5,}", line) for line in lines), done.err
    assert "Traceback" not in done.err
    as_json = af(platform, *filled, "--json")
    error = json.loads(as_json.out)["error"]
    assert {"reference", "code", "message"} <= set(error)
    assert as_json.code == done.code
    if error["reference"] != "AF9001":
        explained = af(platform, "explain", error["reference"])
        assert (explained.code, error["reference"] in explained.out) == (0, True)


def test_every_error_is_explained(platform: Running) -> None:
    listed = af(platform, "explain", "--json").json
    entries = listed["data"] if isinstance(listed, dict) else listed
    assert len(entries) > 50
    assert all(len(entry["explain"]) > 30 for entry in entries)


def test_commands_that_the_first_page_tells_exist(platform: Running) -> None:
    page = platform.request("/").body.decode()
    told = set(re.findall(r"<code>af ([a-z]+)((?: --[a-z-]+)*)", page))
    assert told
    for name, options in told:
        helped = af(platform, name, "--help")
        assert helped.code == 0, name
        for option in options.split():
            assert option in helped.out, f"the page tells `af {name} {option}`"


def test_the_readmes_commands_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in re.findall(r"(?<![\w/])bin/[a-z]+", readme):
        assert (ROOT / command).is_file(), command


# --- in a browser ----------------------------------------------------------------------------------------------------


@pytest.mark.browser
async def test_pages_fit_narrow_screens_follow_dark_mode_and_log_no_errors(platform: Running, tmp_path: Path) -> None:
    files = {"index.html": b"x", "list/" + "n" * 200 + ".txt": b"x", "list/<b>bold.txt": b"x"}
    done = deploy(platform, write(tmp_path / "pages", files))
    site, cid, port = host_of(done["site"]["url"]), done["deployment"]["cid"], platform.port
    addresses = {
        "start": f"http://localhost:{port}/",
        "listing": f"http://127.0.0.1:{port}/ipfs/{cid}/list/",
        "absent": f"http://{site}:{port}/absent",
        "no site": f"http://nosuch.localhost:{port}/",
        "bad CID": f"http://127.0.0.1:{port}/ipfs/bafybad",
        "bad link": f"http://localhost:{port}/auth/link?token=bad",
    }
    colours = "(s => s.backgroundColor + s.color)(getComputedStyle(document.body))"
    async with chromium.browser("--host-resolver-rules=MAP *.localhost 127.0.0.1") as browser:
        for width in (320, 1200):
            seen: dict[str, set[str]] = {name: set() for name in addresses}
            for scheme in ("light", "dark"):
                context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 700})  # type: ignore[arg-type]
                page = await context.new_page()
                errors: list[str] = []
                page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
                page.on(
                    "console", lambda said, errors=errors: errors.append(said.text) if "Refused" in said.text else None
                )
                for name, address in addresses.items():
                    await page.goto(address)
                    wide = await page.evaluate(
                        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                    )
                    assert wide <= 0, (name, width, scheme)
                    assert await page.locator("h1:visible").count() == 1, name
                    assert await page.title(), name
                    seen[name].add(await page.evaluate(colours))
                assert not errors, errors
                await context.close()
            assert all(len(looks) == 2 for looks in seen.values()), ("dark mode changes nothing", seen)


@pytest.mark.browser
async def test_the_login_link_signs_a_browser_in_once(platform: Running, tmp_path: Path) -> None:
    link = platform.graphql("mutation{createLoginLink{url}}")["createLoginLink"]["url"]
    deploy(platform, write(tmp_path / "shown", {"index.html": b"shown"}))
    async with chromium.browser("--host-resolver-rules=MAP *.localhost 127.0.0.1") as browser:
        page = await browser.new_page()
        await page.goto(link)
        await page.wait_for_url(f"http://localhost:{platform.port}/")
        await page.get_by_text("shown", exact=True).first.wait_for()
        cookies = await page.context.cookies()
        assert [cookie["name"] for cookie in cookies] == ["__Host-af_session"]
        assert await page.evaluate("document.cookie") == ""
        other = await (await browser.new_context()).new_page()
        await other.goto(link)
        await other.get_by_text("does not work").first.wait_for()
        assert not await other.context.cookies()


def test_a_foreign_profile_folder_is_not_read(platform: Running, tmp_path: Path) -> None:
    """Credentials that others could have written or read are at least not made so by us."""
    mode = (platform.config / "credentials.json").stat().st_mode & 0o777
    assert mode == 0o600
    assert hostile.af(platform, "whoami", AF_CONFIG_DIR=str(tmp_path / "empty")).code == 4
