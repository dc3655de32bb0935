"""The worker's part in host names: names that lead nowhere are forgotten after a while."""

from __future__ import annotations

from af.core.workflows import Reconciler, Schedule, Workflow
from af.domains import service

WORKFLOWS: tuple[Workflow, ...] = ()
RECONCILERS: tuple[Reconciler, ...] = ()
SCHEDULES = (Schedule("domains.reap_tombstones", 6 * 3600.0, service.reap_tombstones),)
