"""The analysis of variance as bars."""

from pathlib import Path

from regbench.analysis.effects import Effect, Effects
from regbench.errors import UserError
from regbench.text import probability

_KEYS, _REST = "tab:blue", "silver"  # bars of keys and their interactions; bars of the seed and the residual


def plot(found: Effects, path: Path) -> None:
    """Draw the shares as bars, those of keys with their p, into a PNG, SVG or PDF file.

    Raises:
        UserError: the file cannot be written, or has another suffix.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.4 * len(found.terms) + 1.2), layout="constrained")
    axes = figure.subplots()
    colours = [_REST if effect.p is None else _KEYS for effect in found.terms]
    bars = axes.barh([effect.term for effect in found.terms], [100 * e.share for e in found.terms], color=colours)
    axes.bar_label(bars, [_label(effect) for effect in found.terms], padding=4)
    axes.margins(x=0.25)  # room for the labels
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("share of variance, %")
    axes.set_title(found.notes[0].partition(";")[0], loc="left", fontsize="medium")
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise UserError(f"--plot {path}: {str(error).splitlines()[0]}") from None


def _label(effect: Effect) -> str:
    p = probability(effect.p_adjusted)
    return f"{100 * effect.share:.1f} %" + (f", p Holm {p}" if p else "")
