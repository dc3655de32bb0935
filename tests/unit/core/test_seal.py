"""Sealing: what is sealed opens only with the right key, for the right purpose, unchanged."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.core.seal import KEY_BYTES, KeyUnreadable, SealBroken, Sealer, load_master_key
from af.core.settings import InvalidSetting, load

OLD, NEW = bytes(range(KEY_BYTES)), bytes(range(KEY_BYTES, 2 * KEY_BYTES))


@given(st.binary(max_size=2000), st.text(max_size=50).filter(lambda text: text.isprintable()))
def test_what_is_sealed_opens_again(plaintext: bytes, purpose: str) -> None:
    sealer = Sealer(OLD)
    sealed = sealer.seal(plaintext, purpose=purpose)
    assert sealer.open(sealed, purpose=purpose) == plaintext
    assert len(plaintext) < 8 or plaintext not in sealed


def test_sealing_twice_gives_different_values() -> None:
    assert len({Sealer(OLD).seal(b"x", purpose="p") for _ in range(50)}) == 50


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SealBroken):
        Sealer(NEW).open(Sealer(OLD).seal(b"x", purpose="p"), purpose="p")


def test_another_purpose_does_not_open_it() -> None:
    with pytest.raises(SealBroken):
        Sealer(OLD).open(Sealer(OLD).seal(b"x", purpose="site-env:a"), purpose="site-env:b")


def test_a_change_of_any_byte_is_noticed() -> None:
    sealed = Sealer(OLD).seal(b"secret", purpose="p")
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(SealBroken):
            Sealer(OLD).open(changed, purpose="p")


def test_a_value_cut_short_or_prolonged_is_noticed() -> None:
    sealed = Sealer(OLD).seal(b"secret", purpose="p")
    for damaged in (b"", sealed[:1], sealed[:80], sealed[:-1], sealed + b"x"):
        with pytest.raises(SealBroken):
            Sealer(OLD).open(damaged, purpose="p")


def test_a_rotated_key_opens_old_values_and_seals_new_ones() -> None:
    old = Sealer(OLD).seal(b"x", purpose="p")
    both = Sealer(NEW, OLD)
    assert both.open(old, purpose="p") == b"x"
    assert not both.sealed_with_current(old)
    again = both.seal(both.open(old, purpose="p"), purpose="p")
    assert both.sealed_with_current(again)
    assert Sealer(NEW).open(again, purpose="p") == b"x", "the old key can go"
    with pytest.raises(SealBroken):
        Sealer(OLD).open(again, purpose="p")


def test_errors_tell_neither_key_nor_text() -> None:
    sealed = Sealer(OLD).seal(b"very secret", purpose="p")
    with pytest.raises(SealBroken) as broken:
        Sealer(OLD).open(sealed[:-1] + b"\0", purpose="p")
    assert "very secret" not in f"{broken.value} {broken.value.detail}"


def test_a_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    settings = load({}, data=tmp_path)
    key = load_master_key(settings)
    path = tmp_path / "keys" / "master.key"
    assert len(key) == KEY_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load_master_key(settings) == key
    assert os.listdir(path.parent) == ["master.key"]


def test_starters_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from af.core.seal import load_master_key;"
        "from af.core.settings import load;"
        "sys.stdin.read(1); sys.stdout.write(load_master_key(load({}, data=Path(sys.argv[1]))).hex())"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = [subprocess.Popen(command, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    keys = {process.communicate(b"x", timeout=60)[0] for process in running}
    assert len(keys) == 1
    assert len(keys.pop()) == KEY_BYTES * 2


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = load({}, data=tmp_path)
    load_master_key(settings)
    (tmp_path / "keys" / "master.key").chmod(0o640)
    with pytest.raises(KeyUnreadable) as refused:
        load_master_key(settings)
    assert "chmod 600" in refused.value.hint


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(b"x" * 31).decode(), "\u00e9" * 44])
def test_a_key_file_with_something_else_in_it_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys" / "master.key"
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InvalidSetting, match=r"master\.key"):
        load_master_key(load({}, data=tmp_path))


def test_a_key_in_the_environment_wins(tmp_path: Path) -> None:
    text = base64.b64encode(OLD).decode()
    assert load_master_key(load({"AF_MASTER_KEY": text}, data=tmp_path)) == OLD
    assert not (tmp_path / "keys").exists()
    with pytest.raises(InvalidSetting) as refused:
        load_master_key(load({"AF_MASTER_KEY": text[:20]}, data=tmp_path))
    assert text[:20] not in refused.value.message
