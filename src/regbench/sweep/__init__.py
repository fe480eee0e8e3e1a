"""Sweeps and searches: compose, plan, train, watch."""
