from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from af.server import locks
from af.server.errors import AlreadyRunning

_HOLD = "import sys; from pathlib import Path; from af.server import locks; import os\n"
_HOLD += "locks.take(Path(sys.argv[1]), ['api'], os.getpid()); print('held', flush=True); sys.stdin.read()"


def test_a_taken_lock_names_its_holder_and_frees_with_the_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert locks.holder(tmp_path, "api") == holder.pid
        with pytest.raises(AlreadyRunning, match=f"already runs as process {holder.pid}"):
            locks.take(tmp_path, ["api"], os.getpid())
        holder.kill()
    locks.release(locks.take(tmp_path, ["api"], os.getpid()))
    assert locks.holder(tmp_path, "api") is None


def test_a_refusal_gives_back_what_was_already_taken(tmp_path: Path) -> None:
    held = locks.take(tmp_path, ["worker"], os.getpid())
    with pytest.raises(AlreadyRunning, match="worker"):
        locks.take(tmp_path, ["api", "worker"], os.getpid())
    assert locks.holder(tmp_path, "api") is None
    locks.release(held)


def test_targets_are_locked_apart(tmp_path: Path) -> None:
    first = locks.take(tmp_path, ["gateway"], os.getpid())
    second = locks.take(tmp_path, ["api"], os.getpid())
    locks.release([*first, *second])


def test_a_lock_file_left_behind_does_not_matter(tmp_path: Path) -> None:
    locks.folder(tmp_path).mkdir()
    (locks.folder(tmp_path) / "api.lock").write_text("1\n")
    assert locks.holder(tmp_path, "api") is None
    locks.release(locks.take(tmp_path, ["api"], os.getpid()))
