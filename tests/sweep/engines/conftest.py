"""Fixtures of the engines' tests."""

from sweeps import start

__all__ = ["start"]
