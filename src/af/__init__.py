"""Alternate Futures, the platform: one package per domain, described in ARCHITECTURE.md."""

__version__ = "0.1.0"
