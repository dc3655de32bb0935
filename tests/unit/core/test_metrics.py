"""Metrics of several processes, read together by any of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from af.core import metrics


def in_process(folder: Path, body: str) -> str:
    """Standard output of a process that shares its metrics in ``folder``. Its own: the mode is fixed at import."""
    start = "import sys; from pathlib import Path; from af.core import metrics; metrics.setup(Path(sys.argv[1]))\n"
    arguments = [sys.executable, "-c", start + body, str(folder)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


RENDER = "sys.stdout.write(metrics.render().decode())"


def test_the_counts_of_all_processes_are_added_also_of_dead_ones(tmp_path: Path) -> None:
    for _ in range(3):
        in_process(tmp_path, "metrics.answered('GET', 200, 0.003); metrics.counter('af_gateway_bytes_total').inc(10)")
    shown = in_process(tmp_path, "metrics.answered('GET', 200, 0.003)\n" + RENDER)
    assert 'af_http_requests_total{method="GET",status="200"} 4.0' in shown
    assert "af_http_seconds_count 4.0" in shown
    assert 'af_http_seconds_bucket{le="0.005"} 4.0' in shown
    assert "af_gateway_bytes_total 30.0" in shown


def test_a_new_start_forgets_the_old_counts(tmp_path: Path) -> None:
    in_process(tmp_path, "metrics.answered('GET', 200, 0.1)")
    metrics.forget(tmp_path)
    assert "af_http_requests_total{" not in in_process(tmp_path, RENDER)


def test_made_up_methods_do_not_make_up_labels(tmp_path: Path) -> None:
    shown = in_process(tmp_path, f"[metrics.answered(f'M{{n}}', 400, 0.1) for n in range(50)]\n{RENDER}")
    assert re.findall(r"af_http_requests_total\{(.*?)\} (\S+)", shown) == [('method="other",status="400"', "50.0")]


def test_every_metric_in_the_catalogue_can_be_made(tmp_path: Path) -> None:
    # gauges are written as text when they are asked for (`af.server.figures`)
    body = "[getattr(metrics, kind)(n) for n, (kind, _, _) in metrics.CATALOGUE.items() if kind != 'gauge']"
    in_process(tmp_path, body)
    for name, (kind, _, _) in metrics.CATALOGUE.items():
        unit = "" if kind == "gauge" else "_(total|seconds|bytes)"  # a gauge may be a bare number of things
        assert re.fullmatch(rf"af_[a-z0-9_]+{unit}", name), name


def test_a_process_that_gets_no_room_for_its_files_counts_for_itself(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    shown = in_process(in_the_way / "metrics", f"metrics.answered('GET', 200, 0.1)\n{RENDER}")
    assert 'af_http_requests_total{method="GET",status="200"} 1.0' in shown


def test_the_files_have_their_room_from_the_start(tmp_path: Path) -> None:
    in_process(tmp_path, "metrics.counter('af_gateway_bytes_total').inc(10)")
    for path in tmp_path.glob("*.db"):
        assert path.stat().st_blocks * 512 >= path.stat().st_size, f"{path.name} has holes"
