"""The analysis of variance as bars."""

from typing import TYPE_CHECKING

from regbench.analysis.effects import Effect, Effects
from regbench.figures import style, words
from regbench.text import probability

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LABEL, _MARGIN, _LETTER = 1.0, 0.15, 0.047  # inches of the longest label, beside the axes, of a letter of a name


def draw(effects: Effects) -> "Figure":
    """Draw the shares as bars, those of keys with their p; the seed and the residual are grey and hatched."""
    from matplotlib.ticker import MaxNLocator

    figure = style.new(0.22 * len(effects.terms) + 1.1)
    axes = figure.subplots()
    places = range(len(effects.terms))
    bars = axes.barh(
        places,
        [100 * effect.share for effect in effects.terms],
        color=[style.BLUE if effect.is_of_keys else style.GREY for effect in effects.terms],
        height=0.7,
    )
    for bar, effect in zip(bars, effects.terms, strict=True):
        bar.set_hatch("" if effect.is_of_keys else "////")
        bar.set_edgecolor(style.paper())
    axes.bar_label(bars, [_label(effect) for effect in effects.terms], padding=3, fontsize=6)
    names = [words.term(effect.term) for effect in effects.terms]
    axes.set_yticks(places, names)
    most = max(100 * effect.share for effect in effects.terms)
    room = style.COLUMN - _MARGIN - _LETTER * max(map(len, names))
    axes.set_xlim(0, most * room / max(0.4, room - _LABEL))
    axes.set_xticks([tick for tick in MaxNLocator(3).tick_values(0, most) if tick <= max(most, 1)])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("share of the variance (%)")
    name, _, rest = effects.notes[0].partition(": ")
    style.caption(figure, f"{words.short_figure(name).capitalize()}: {rest}", *effects.notes[1:])
    return figure


def _label(effect: Effect) -> str:
    p = probability(effect.p_adjusted)
    return f"{100 * effect.share:.1f} %" + (f", p Holm {p}" if p else "")
