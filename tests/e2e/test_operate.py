"""What an operator sees and does: gauges, the warning before a disk is full."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e import hostile
from tests.e2e.platform import running

_DATA = b"kept by a pin that never was"


def test_metrics_tell_what_is_stored_free_and_waiting(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        cid = hostile.raw_block(_DATA)
        body = hostile.car_of(cid, [(cid, _DATA)])
        assert hostile.post(platform, "/v1/projects/default/content/import?public=false", body).status == 200
        text = platform.request("/metrics").body.decode()
    values = dict(re.findall(r"^(af_[a-z_]+(?:\{[^}]*\})?) ([0-9.e+]+)$", text, re.MULTILINE))
    assert float(values["af_storage_blocks"]) >= 1
    assert float(values["af_storage_bytes"]) >= len(_DATA)
    assert float(values["af_disk_free_bytes"]) > 0
    assert values['af_storage_pin_requests{state="queued"}'] == "0"
    assert values['af_replication_copies{state="wanted"}'] == "0"
    assert float(values["af_replication_lag_seconds"]) == 0


def test_a_disk_that_fills_up_is_told_before_writes_are_refused(tmp_path: Path) -> None:
    with running(tmp_path, AF_DISK_WARN_BYTES=str(1 << 44)) as platform:
        ready = platform.request("/ready")
        assert ready.status == 200
        assert ready.json()["checks"]["disk"].endswith("writes are refused soon")
