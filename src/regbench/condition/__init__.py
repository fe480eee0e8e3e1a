"""Conditions on named values, `norm != none and optimizer.lr < 0.01`: parsed as Python's syntax, never executed."""

from regbench.condition.expression import Expression, condition

__all__ = ["Expression", "condition"]
