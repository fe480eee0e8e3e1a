"""Hints on a run's health: each rule fires where its source says so, and a healthy run has none."""

from typing import Any

import pytest

from regbench.analysis.health import hints

LAYERS = ("dense1", "dense2", "output")
HEALTHY = {"before_std": 1.2, "dead": 0.05, "saturated": 0.02, "grad_norm": 0.5, "update_ratio": 1e-3}


def rows(**figures: list[float] | float) -> list[dict[str, Any]]:
    """Two epochs of three layers; a figure is that of all layers, or a list of each layer's."""
    spread = {name: value if isinstance(value, list) else [value] * 3 for name, value in (HEALTHY | figures).items()}
    layers = [{"layer": layer} | {name: spread[name][place] for name in spread} for place, layer in enumerate(LAYERS)]
    return [{"epoch": epoch} | layer for epoch in (1.0, 2.0) for layer in layers]


def test_a_healthy_run_and_one_without_diagnostics_have_no_hint() -> None:
    assert hints(rows()) == hints([]) == []


@pytest.mark.parametrize(
    ("rule", "figures", "words", "healthy"),
    [
        ("dead", {"dead": [0.1, 0.41, 0.0]}, "dense2: 41 % of the units are dead", {"dead": 0.39}),
        ("saturated", {"saturated": [0.5, 0.9, 0.0]}, "dense1 and dense2: 50 to 90 %", {"saturated": 0.49}),
        ("vanishing", {"grad_norm": [1e-4, 1e-2, 0.2]}, "2e+03 times smaller in dense1", {"grad_norm": [1e-3, 1, 0.9]}),
        ("exploding", {"grad_norm": [300.0, 10.0, 0.2]}, "2e+03 times larger in dense1", {"grad_norm": [100, 1, 0.2]}),
        ("scale", {"before_std": [1.0, 30.0, 150.0]}, "grows from layer to layer", {"before_std": [1.0, 30.0, 90.0]}),
        ("scale", {"before_std": [1.0, 0.1, 0.001]}, "shrinks from layer to layer", {"before_std": [1.0, 0.1, 0.02]}),
        ("updates", {"update_ratio": 0.2}, "Steps are large", {"update_ratio": 0.09}),
        ("updates", {"update_ratio": 1e-6}, "Steps are small", {"update_ratio": 2e-5}),
    ],
)
def test_a_rule_fires_beyond_its_limit_only(
    rule: str, figures: dict[str, Any], words: str, healthy: dict[str, Any]
) -> None:
    (hint,) = hints(rows(**figures))
    assert hint.rule == rule and words in hint.text and hint.source
    assert hints(rows(**healthy)) == []


def test_a_diverged_run_is_told_what_helps() -> None:
    (hint,) = hints(rows(), diverged=True)
    assert hint.rule == "diverged" and "lower learning rate" in hint.text


def test_the_last_epoch_counts_and_of_steps_the_median() -> None:
    early = [row | {"dead": 0.9, "update_ratio": 9.0} if row["epoch"] == 1 else row for row in rows()]
    assert hints([*early, *({**row, "epoch": 3.0} for row in rows()[:3])]) == []
