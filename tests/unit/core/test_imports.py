"""What a process must not load before it needs it: start time and memory of every edge process depend on it."""

from __future__ import annotations

import subprocess
import sys


def test_core_loads_no_engine_client_or_migration_tool() -> None:
    program = """
import importlib, pkgutil, sys
import af.core
for module in pkgutil.iter_modules(af.core.__path__):
    importlib.import_module(f"af.core.{module.name}")
heavy = {"dbos", "aiohttp", "alembic", "prometheus_client", "psycopg", "asyncpg", "uvicorn"} & set(sys.modules)
sys.exit(f"loaded: {sorted(heavy)}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
