"""Every kind of picture: its lines, bands, labels and groups; its numbers are those of the table."""

import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from safetensors.numpy import save_file

import regbench
from golden.records import HERE as GOLDEN
from golden.records import INITS, NORMS, record, write
from regbench.analysis.intervals import estimate
from regbench.analysis.question import Question
from regbench.analysis.ranks import critical_difference
from regbench.analysis.table import Against
from regbench.data.unpacked import mnist_test
from regbench.errors import UserError
from regbench.figures import style
from regbench.figures.choices import KINDS
from regbench.figures.kinds import draw
from regbench.figures.wishes import Wishes
from regbench.records import histograms
from regbench.records.files import HISTOGRAMS, LAYERS, METRICS, MODEL, PREDICTED
from regbench.records.frame import load
from regbench.records.predictions import answers, encoded
from regbench.records.rows import BINS, Histogram, LayerFigures
from regbench.records.run_tables import RunTables

VERDICTS, NORMED = GOLDEN / "verdicts", GOLDEN / "runs"
IMAGES, LABELS = mnist_test()
EPOCHS = (1, 2, 3)
GAIN = {"none": 0.0, "batch": 0.1, "layer": 0.05}
LRS = (0.0001, 0.001, 0.1)


def picture(kind: str, *dirs: Path, wishes: Wishes | None = None, baseline: str | None = None, **asked: Any) -> Figure:
    against = Against([baseline], asked.pop("margin", None)) if baseline else None
    with style.applied():
        return draw(kind, Question(load(dirs), against=against, **asked), wishes or Wishes(), lambda *_: IMAGES)


def caption(figure: Figure) -> str:
    return " ".join(figure.get_supxlabel().split())


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


def points(figure: Figure, axes: int = 0) -> dict[str, tuple[list[float], list[float]]]:
    """The labelled lines of an axes."""
    lines = [line for line in figure.axes[axes].lines if not line.get_label().startswith("_")]
    return {str(line.get_label()): (list(line.get_xdata()), list(line.get_ydata())) for line in lines}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three norms and two seeds with all that a run leaves; one run is older, and has no predicted classes."""
    folder = tmp_path_factory.mktemp("study")
    draw = np.random.default_rng(0)
    for norm, gain in GAIN.items():
        for seed in (0, 1):
            run = write(folder, record(test_acc=0.8 + gain + seed / 100, norm=NORMS[norm], seed=seed))
            _write_tables(run, gain + seed / 100)
            one = [
                Histogram(e, "dense1", q, -1.0, 3.0, np.arange(BINS) + e) for e in (1, 3) for q in ("before", "weight")
            ]
            (run / HISTOGRAMS).write_bytes(histograms.encoded(one))
            save_file({"dense1.affine.weight": draw.normal(size=(9, 784)).astype(np.float32)}, run / MODEL)
            if (norm, seed) != ("layer", 1):
                (run / PREDICTED).write_bytes(_predicted(norm, seed))
    return folder


def _write_tables(run: Path, gain: float) -> None:
    losses = [(epoch, 0.001, 1 / epoch - gain, 1.2 / epoch - gain, 0.5 + 0.1 * epoch + gain, 2.0) for epoch in EPOCHS]
    rows = [",".join(map(str, row)) for row in losses]
    (run / METRICS).write_text("\n".join(["epoch,lr,train_loss,val_loss,val_acc,seconds", *rows]) + "\n")
    tables = RunTables(run)
    tables.layers = [
        asdict(LayerFigures(epoch, layer, 0.0, 1.0 + gain, grad_norm=10.0**-place * epoch, weight_norm=1.0, dead=0.25))
        for epoch in EPOCHS
        for place, layer in enumerate(("dense2", "dense1", "output"))
    ]
    tables.write()
    (run / METRICS).write_text("\n".join(["epoch,lr,train_loss,val_loss,val_acc,seconds", *rows]) + "\n")
    assert (run / LAYERS).exists()


def _histograms(epoch: int) -> list[Histogram]:
    counts = np.arange(BINS) + epoch
    return [Histogram(epoch, "dense1", "before", -1.0, 3.0, counts), Histogram(epoch, "dense1", "weight", 0, 1, counts)]


def _predicted(norm: str, seed: int) -> bytes:
    """No norm takes each 4 for a 9; batch norm takes five images for the next class, seed 1 only one."""
    classes = LABELS.copy()
    if norm == "none":
        classes[LABELS == 4] = 9
    if norm == "batch":
        wrong = slice(0, 5 if seed == 0 else 1)
        classes[wrong] = (classes[wrong] + 1) % 10
    return encoded({"last": classes, "best_val": classes}, answers(IMAGES, LABELS))


# Curves


def test_curves_are_the_means_of_each_epoch_with_their_interval(study: Path) -> None:
    figure = picture("curves", study)
    lines = points(figure)
    assert list(lines) == legend(figure) == ["batch", "layer", "none"]
    table = regbench.curves(study)
    for norm, (x, y) in lines.items():
        values = [table[(table["norm"] == norm) & (table["epoch"] == e)]["val_acc"].tolist() for e in EPOCHS]
        assert (x, y) == (pytest.approx(EPOCHS), pytest.approx([100 * statistics.mean(v) for v in values]))
        band = next(c for c in figure.axes[0].collections if to_hex(c.get_facecolor()[0][:3]) == colour(figure, norm))
        ends = [estimate(v).interval for v in values]
        corners = band.get_paths()[0].vertices[:, 1]
        assert {round(float(c), 6) for c in corners} == {round(100 * end, 6) for pair in ends for end in pair or ()}
    assert figure.axes[0].get_ylabel() == "validation accuracy (%)"
    assert caption(figure).startswith("Mean over runs, n = 2 runs per line; band: 95 % t interval of the mean.")


def colour(figure: Figure, label: str) -> str:
    return next(to_hex(line.get_color()) for line in figure.axes[0].lines if line.get_label() == label)


def test_the_last_point_is_the_tables(study: Path) -> None:
    table = regbench.compare(regbench.load(study), by="norm", metric="val_loss", select="last").set_index("norm")
    figure = picture("curves", VERDICTS, metrics=["train_loss"])
    frame = regbench.curves(VERDICTS)
    last = frame[(frame["epoch"] == 5) & (frame["status"] == "completed") & (frame["norm"] == "batch")]["train_loss"]
    assert points(figure)["batch"][1][-1] == pytest.approx(last.mean())
    assert "Left out: 2 runs (1 diverged, 1 without metrics.csv)." in caption(figure)
    assert not table.empty


def test_curves_of_several_figures_panels_steps_and_each_run(study: Path) -> None:
    wishes = Wishes(x="step", log="y", each=True)
    figure = picture("curves", study, metrics=["train_loss", "val_loss"], columns=["seed"], by=["norm"], wishes=wishes)
    assert [axes.get_title() for axes in figure.axes] == ["seed\n0", "seed\n1"]
    assert legend(figure) == ["batch", "layer", "none", "training loss", "validation loss"]
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_ylabel() == "loss (nats)"
    plain = [line for line in figure.axes[0].lines if line.get_linewidth() < 0.5]
    assert len(plain) == 3 * 2
    assert list(plain[0].get_xdata()) == [550, 1100, 1650]
    assert "one run has no band" in caption(figure) and "Thin lines: single runs." in caption(figure)


def test_wide_bands_do_not_flatten_the_lines(tmp_path: Path) -> None:
    for seed, loss in ((0, 1.0), (1, 1.1)):
        run = write(tmp_path, record(seed=seed))
        (run / METRICS).write_text(f"epoch,train_loss\n1,{loss + 0.2}\n2,{loss}\n")
    figure = picture("curves", tmp_path, metrics=["train_loss"])
    low, high = figure.axes[0].get_ylim()
    assert high - low < 1 < 2 * (estimate([1.0, 1.1]).half_width or 0)
    assert "Wide bands are cut at the edges." in caption(figure)


def test_the_schedule(study: Path) -> None:
    figure = picture("lr", study)
    assert points(figure)["none"] == (list(EPOCHS), [pytest.approx(0.001)] * 3)
    assert figure.axes[0].get_ylabel() == "learning rate"
    assert figure.axes[0].get_ylim()[0] == 0


# Rows


def test_a_forest_is_the_table_of_differences() -> None:
    figure = picture("forest", VERDICTS, baseline="norm=none", margin=0.1)
    table = regbench.compare(regbench.load(VERDICTS), baseline="norm=none", margin=0.1).set_index("norm").drop("none")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == table.index.tolist()
    marks = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert [line.get_xdata()[0] for line in marks] == pytest.approx((100 * table["diff"]).tolist())
    looks = {
        verdict: (line.get_color(), line.get_marker()) for verdict, line in zip(table["verdict"], marks, strict=True)
    }
    assert len(set(looks.values())) == len(looks) == 4
    assert sorted(legend(figure)) == sorted([*looks, "margin"])
    bars = [
        line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2 and line.get_linewidth() > 1
    ]
    assert [(end - start) / 200 for start, end in bars] == pytest.approx(table["diff_ci95"].tolist())
    (strip,) = figure.axes[0].patches
    assert strip.get_extents().transformed(figure.axes[0].transData.inverted()).intervalx == pytest.approx([-0.1, 0.1])
    assert "n = 9 to 10 pairs; line: 95 % t interval; higher is better" in caption(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["diverged 1/10"]


def test_dots_join_each_seed_to_its_baseline() -> None:
    figure = picture("dots", VERDICTS, baseline="norm=none", where="norm in ('none', 'batch', 'instance')")
    joined = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    of = regbench.load(VERDICTS).set_index(["norm", "seed"])["best_val.test_acc"]
    pairs = [(norm, seed) for norm in ("batch", "instance") for seed in range(10) if (norm, seed) in of]
    assert len(pairs) == 19
    assert [tuple(line.get_ydata()) for line in joined] == [
        pytest.approx((100 * of["none", seed], 100 * of[norm, seed])) for norm, seed in pairs
    ]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["none", "batch", "none", "instance"]
    assert legend(figure) == ["better than its baseline", "worse"]


def test_a_box_holds_a_dot_for_each_run() -> None:
    figure = picture("box", VERDICTS)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    rows = regbench.compare(regbench.load(VERDICTS), show=["seeds"]).set_index("norm")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == rows.index.tolist()
    assert [len(line.get_xdata()) for line in dots] == rows["n"].tolist()
    assert [statistics.mean(line.get_xdata()) for line in dots] == pytest.approx((100 * rows["mean"]).tolist())
    assert "n = 9 to 10 runs per row" in caption(figure)


# Two keys


def test_a_heat_map_is_the_pivot() -> None:
    figure = picture("heatmap", NORMED, by=["norm"], columns=["init"])
    table = regbench.compare(regbench.load(NORMED), by=["norm", "init"]).set_index(["norm", "init"])["mean"]
    shown = figure.axes[0].images[0].get_array().filled(np.nan)
    means = [[table[norm, init] for init in ("kaiming", "xavier")] for norm in ("batch", "layer", "none")]
    assert shown == pytest.approx(100 * np.array(means), nan_ok=True)
    assert "97.93" in [text.get_text() for text in figure.axes[0].texts]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("initializer", "normalization")
    against = picture("heatmap", NORMED, by=["norm"], columns=["init"], baseline="norm=none")
    assert np.abs(np.nan_to_num(against.axes[0].images[0].get_array()[2])).max() == 0
    assert {text.get_text()[-1] for text in against.axes[0].texts} >= {"b", "?"}


def test_effects_are_the_shares(tmp_path: Path) -> None:
    for norm, gain in GAIN.items():
        for init in INITS:
            for seed in range(3):
                accuracy = 0.8 + gain + 0.02 * (init == "xavier") + seed / 1000 + len(norm) * seed / 5000
                write(tmp_path, record(test_acc=accuracy, norm=NORMS[norm], init=INITS[init], seed=seed))
    figure = picture("effects", tmp_path)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()][:2] == ["normalization", "initializer"]
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert sum(widths) == pytest.approx(100)
    assert [text.get_text().partition(" %")[0] for text in figure.axes[0].texts] == [f"{width:.1f}" for width in widths]
    assert caption(figure).startswith("Test accuracy: share of its variance over 18 runs")
    crossed = picture("interaction", tmp_path, by=["init", "norm"])
    means = regbench.compare(regbench.load(tmp_path), by=["init", "norm"]).set_index(["init", "norm"])["mean"]
    bars = {str(c.get_label()): c for c in crossed.axes[0].containers}
    assert list(bars) == legend(crossed) == ["batch", "layer", "none"]
    for norm, bar in bars.items():
        line, _, (halves,) = bar.lines
        assert list(line.get_ydata()) == pytest.approx([100 * means[init, norm] for init in INITS])
        assert len(halves.get_segments()) == 2
    assert [t.get_text() for t in crossed.axes[0].get_xticklabels()] == list(INITS)
    with pytest.raises(UserError, match="plot interaction: needs two keys, not 1"):
        picture("interaction", tmp_path, by=["init"])


def test_sensitivity_marks_the_default(tmp_path: Path) -> None:
    for lr in LRS:
        for norm in ("none", "batch"):
            for seed in range(3):
                optimizer = {"name": "adam", "lr": lr, "betas": [0.9, 0.999], "eps": 1e-08, "weight_decay": 0.0}
                content = record(
                    test_acc=0.8 + lr + GAIN[norm] + seed / 100, optimizer=optimizer, norm=NORMS[norm], seed=seed
                )
                write(tmp_path, content, f"{norm}-{lr}-{seed}")
    figure = picture("sensitivity", tmp_path)
    lines = points(figure)
    assert list(lines) == ["batch", "none"]
    assert lines["none"] == (list(LRS), pytest.approx([100 * (0.81 + lr) for lr in LRS]))
    assert figure.axes[0].get_xscale() == "log"
    assert figure.axes[0].get_xlabel() == "learning rate"
    rings = [line for line in figure.axes[0].lines if line.get_markersize() == 9]
    assert [float(line.get_xdata()[0]) for line in rings] == [0.001, 0.001]
    assert len(figure.axes[0].collections) == 2  # a band each
    assert legend(figure) == ["batch", "none", "default"]
    with pytest.raises(UserError, match="none of norm is a number with several values"):
        picture("sensitivity", tmp_path, where="optimizer.lr == 0.1")


def test_ranks_and_their_critical_difference() -> None:
    figure = picture("cd", VERDICTS, where="norm in ('none', 'batch', 'layer', 'rms')")
    frame = regbench.load(VERDICTS)
    wide = frame[frame["norm"].isin(["none", "batch", "layer", "rms"])]
    wide = wide.pivot(index="seed", columns="norm", values="best_val.test_acc").astype(float)
    ranks = wide.rank(axis=1, ascending=False).mean()
    texts = [text.get_text() for text in figure.axes[0].texts]
    for norm, rank in ranks.items():
        assert any(norm in text and f"{rank:.2f}" in text for text in texts)
    assert f"critical difference {critical_difference(4, 10):.2f}" in texts
    assert "n = 10 seeds. Friedman's test: p <.001." in caption(figure)
    bars = [line.get_xdata() for line in figure.axes[0].lines if line.get_linewidth() > 2]
    assert bars and all(end - start < critical_difference(4, 10) + 0.1 for start, end in bars)


@pytest.mark.parametrize(("rows", "q"), [(2, 1.960), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_is_demsars(rows: int, q: float) -> None:
    """Demšar 2006, table 5 (a): q at 0.05."""
    assert critical_difference(rows, 10) == pytest.approx(q * (rows * (rows + 1) / 60) ** 0.5, abs=0.001)


# Layers


def test_layers_are_means_by_epoch_from_input_to_output(study: Path) -> None:
    figure = picture("layers", study, by=["norm"])
    assert [axes.get_title() for axes in figure.axes[:3]] == ["batch", "layer", "none"]
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == [
        "scale of\nactivations",
        "norm of the\ngradient",
        "dead units\n(%)",
    ]
    gradient = figure.axes[3]
    assert gradient.get_yscale() == "log"
    assert [list(line.get_ydata()) for line in gradient.lines] == [pytest.approx([e, e / 10, e / 100]) for e in EPOCHS]
    assert [t.get_text() for t in figure.axes[6].get_xticklabels()] == ["dense2", "dense1", "output"]
    assert list(figure.axes[6].lines[0].get_ydata()) == [25.0, 25.0, 25.0]
    assert legend(figure) == ["epoch 1", "epoch 2", "epoch 3"]
    assert figure.get_figwidth() == style.COLUMN
    with pytest.raises(UserError, match=r"none of \d+ runs has a layers.csv"):
        picture("layers", VERDICTS)


def test_layers_of_a_run_that_diverged_at_once_are_an_empty_column(tmp_path: Path) -> None:
    for place, (norm, value) in enumerate({"none": "nan", "batch": "0.5"}.items()):
        run = write(tmp_path, record("diverged" if value == "nan" else "completed", norm=NORMS[norm]))
        (run / LAYERS).write_text(f"epoch,layer,before_std,near_zero\n1,dense1,{value},0.1{place}\n")
    figure = picture("layers", tmp_path, by=["norm"])
    assert [len(axes.lines) for axes in figure.axes] == [1, 0, 1, 1]
    assert figure.axes[0].get_ylim() == pytest.approx((0.1, 1.0))


def test_histograms_of_one_run(study: Path) -> None:
    run = next(study.glob("*/mlp-batch*"))
    figure = picture("histograms", run)
    assert [axes.get_title() for axes in figure.axes] == ["before the\nnonlinearity", "weights"]
    assert legend(figure) == ["after epoch 1", "after epoch 3"]
    first, last = figure.axes[0].patches
    values, edges, _ = first.get_data()
    assert values == pytest.approx((np.arange(BINS) + 1) / (np.arange(BINS) + 1).sum() / (4 / BINS))
    assert (edges[0], edges[-1]) == (-1.0, 3.0)
    assert not np.array_equal(values, last.get_data().values)
    with pytest.raises(UserError, match=r"shows one run, not 6\. Name one: regbench plot histograms"):
        picture("histograms", study)


def test_filters_are_the_first_weights_of_the_least_seed(study: Path) -> None:
    figure = picture("filters", study)
    pictures = [axes for part in figure.subfigs for axes in part.axes if axes.images]
    assert len(pictures) == 3 * 8
    assert pictures[0].images[0].get_array().shape == (28, 28)
    assert [part.get_suptitle().partition(" ")[0] for part in figure.subfigs] == ["batch", "layer", "none"]
    grey = pictures[0].images[0].cmap(np.linspace(0, 1, 16))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(grey) > 0).all()  # in grey, weights above and below 0 are still told apart


# Images


def test_confusion_is_the_mean_of_the_runs_and_names_those_without(study: Path) -> None:
    figure = picture("confusion", study, baseline="norm=none")
    matrices = [axes.images[0].get_array() for axes in figure.axes if axes.images and axes.get_label() != "<colorbar>"]
    assert matrices[2][4, 9] == 100  # without a norm, each 4 is taken for a 9
    assert matrices[3][4, 9] == -100  # batch norm, less its baseline
    signs = [{text.get_position(): text.get_text() for text in axes.texts} for axes in figure.axes]
    assert {(9, 4): "−"} in signs  # in grey, more and less are both dark
    ones = [axes for axes in figure.axes if axes.get_ylabel() == "accuracy (%)"]
    dots, bars = ones[0].lines
    assert (dots.get_ydata()[4], bars.get_ydata()[4]) == (pytest.approx(100, abs=0.2), 0.0)
    assert "Without a record of classes, and so left out:" in caption(figure)
    with pytest.raises(UserError, match=r"none of \d+ runs has a predicted.safetensors, which newer versions write"):
        picture("confusion", GOLDEN / "images")


def test_mistakes_are_those_that_the_baseline_does_not_make(study: Path) -> None:
    figure = picture("mistakes", study, baseline="norm=none", where="norm != 'layer'")
    shown = [axes for axes in figure.axes if axes.images]
    wrong = [place for place in range(5) if LABELS[place] != 4]
    assert [axes.get_title() for axes in shown] == [
        f"{LABELS[place]}→{(LABELS[place] + 1) % 10}\n{100 if place == 0 else 50} : 0 %" for place in wrong
    ]
    assert np.array_equal(shown[0].images[0].get_array(), IMAGES[0])


# All


ASKED: dict[str, dict[str, Any]] = {
    "forest": {"baseline": "norm=none"},
    "dots": {"baseline": "norm=none"},
    "heatmap": {"by": ["norm"], "columns": ["seed"]},
    "interaction": {"by": ["norm", "seed"]},
    "sensitivity": {"by": ["seed", "norm"]},
    "histograms": {"where": "norm == 'batch' and seed == 0"},
    "mistakes": {"baseline": "norm=none"},
    "confusion": {"baseline": "norm=none"},
    "effects": {"by": ["norm"]},
}


@pytest.fixture(scope="module")
def drawn(study: Path) -> Callable[[str], Figure]:
    def of(kind: str) -> Figure:
        asked = dict(ASKED.get(kind, {}))
        dirs = [NORMED] if kind == "effects" else [study]
        return picture(kind, *dirs, **asked)

    return of


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_legends_cover_nothing_and_words_are_words(kind: str, drawn: Callable[[str], Figure]) -> None:
    figure = drawn(kind)
    with style.applied():
        content = style.encoded(figure, "svg").decode()
    boxes = [axes.get_window_extent() for axes in figure.axes]
    for found in figure.legends:
        assert not any(found.get_window_extent().overlaps(box) for box in boxes)
    labels = [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel(), axes.get_title())]
    assert not any("_" in text or "best_val" in text for text in labels)
    assert "n = " in caption(figure) or kind == "effects"
    first = caption(figure).split()[0]
    assert "<text" in content and first in content
    assert figure.get_supxlabel() and figure.get_figwidth() in (style.COLUMN, style.PAGE, pytest.approx(4.8))


@pytest.mark.slow
def test_fonts_are_embedded_and_the_same_picture_is_the_same_file(drawn: Callable[[str], Figure]) -> None:
    with style.applied():
        assert b"/FontFile2" in style.encoded(drawn("box"), "pdf")
        first, second = (style.encoded(drawn("box"), "svg") for _ in range(2))
    assert first == second


def test_dark_is_dark(study: Path) -> None:
    with style.applied(dark=True):
        figure = draw("box", Question(load([study])), Wishes(), lambda *_: IMAGES)
        assert max(figure.get_facecolor()[:3]) < 0.2 < 0.8 < min(to_rgb(figure.axes[0].xaxis.label.get_color()))


def to_rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(to_hex(colour)[place : place + 2], 16) / 255 for place in (1, 3, 5))


def test_lines_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    for number in range(style.MOST_LINES + 1):
        run = write(tmp_path, record(dropout=number / 100))
        (run / METRICS).write_text("epoch,val_acc\n1,0.5\n")
    with pytest.raises(UserError, match=f"{style.MOST_LINES + 1} lines are too many to tell apart"):
        picture("curves", tmp_path)
    published = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"}  # Okabe and Ito 2008
    assert {style.line(place)["color"] for place in range(style.MOST_LINES)} == published
    looks = {(look["color"], look["marker"]) for look in map(style.line, range(style.MOST_LINES))}
    assert len(looks) == style.MOST_LINES
