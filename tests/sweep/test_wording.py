"""Overrides of several runs in one line."""

from regbench.sweep.wording import distinguishing, joined


def test_overrides_of_several_runs_are_one_line():
    runs = [[f"norm={norm}", f"seed={seed}", "model.hidden=[16,16]"] for norm in ("none", "batch") for seed in (0, 1)]
    assert joined(runs) == "norm=none,batch seed=0,1 model.hidden=[16,16]"


def test_of_many_values_some_are_shown():
    runs = [[f"seed={seed}"] for seed in range(100)]
    assert joined(runs) == "seed=0,1,…,99"
    assert joined(runs[:6]) == "seed=0,1,2,3,4,5"


def test_what_all_runs_have_tells_none_from_another():
    runs = [["+study=norms", f"norm={norm}", "epochs=2"] for norm in ("none", "batch")]
    shared = {"+study=norms", "epochs=2"}
    assert distinguishing(runs, shared) == "norm=none,batch"
    assert distinguishing([["+study=norms", "epochs=2"], runs[0]], shared) == "norm=none"
    assert distinguishing([["+study=norms", "epochs=2"]], shared) == "+study=norms epochs=2", "no other is left"


def test_a_single_run_is_its_overrides():
    assert joined([["norm=batch", "seed=3"]]) == "norm=batch seed=3"


def test_single_changes_read_as_such_and_not_as_a_product():
    changes = ["dropout=0.2", "dropout=0.5", "norm=batch", "label_smoothing=0.1"]
    runs = [[change, f"seed={seed}"] for change in changes for seed in (0, 1)]
    assert joined(runs) == "dropout=0.2,0.5 or norm=batch or label_smoothing=0.1; seed=0,1"


def test_keys_in_step_stay_together():
    runs = [[f"norm={norm}", f"init={init}"] for norm, init in (("none", "kaiming"), ("batch", "xavier"))]
    assert joined(runs) == "norm=none init=kaiming or norm=batch init=xavier"
