"""docs/timings.md: the page and the figures that are kept are in step. Nothing is measured."""

import re

import pytest

from benchmarks import machine, timings_page
from benchmarks.timings_page import PAGE, Machine, Table, keep, machines, page

OLD = Machine(
    processor="AMD EPYC (Zen 3)",
    cores=2,
    date="2026-01-02",
    load_before=0.1,
    load_after=2.0,
    seconds=240,
    versions={"torch": "2.14"},
    tables=[Table("One run", "An epoch.", ["seconds", "ratio"], {"regbench": ["0.50", "0.5"], "bare": ["1.00", "1"]})],
)


def test_the_page_is_current():
    """If this fails: scripts/bench timings --only-page."""
    assert PAGE.read_text("utf-8") == page(machines())


def test_each_machine_has_its_file_and_its_place_on_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(timings_page, "FOLDER", tmp_path / "timings")
    monkeypatch.setattr(timings_page, "PAGE", tmp_path / "timings.md")
    keep(OLD)
    new = Machine(**{**vars(OLD), "processor": "Intel(R) Xeon(R) 8488C", "date": "2026-02-03", "seconds": 330})
    keep(new)
    keep(Machine(**{**vars(new), "load_before": 1.5}))
    text = (tmp_path / "timings.md").read_text("utf-8")
    assert [path.name for path in sorted((tmp_path / "timings").iterdir())] == [
        "amd-epyc-zen-3-2-cores.json",
        "intel-r-xeon-r-8488c-2-cores.json",
    ]
    assert re.findall(r"^- \*\*(.+?)\*\*.*load (\S+) before", text, re.MULTILINE) == [
        ("Intel(R) Xeon(R) 8488C", "1.5"),
        ("AMD EPYC (Zen 3)", "0.1"),
    ], "the one measured last is first; a later call replaces an earlier one"
    assert text.count("## One run") == 1
    assert text.count("| regbench | 0.50 | 0.5 |") == 2
    assert text == page(machines())


@pytest.mark.parametrize(
    ("family", "model", "kind"), [(25, 1, "Zen 3"), (25, 17, "Zen 4"), (25, 160, "Zen 4"), (26, 2, "Zen 5")]
)
def test_the_kind_of_cores_is_told_by_their_numbers(tmp_path, monkeypatch, family, model, kind):
    facts = f"processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: {family}\nmodel\t\t: {model}\n"
    (tmp_path / "cpuinfo").write_text(f"{facts}model name\t: AMD EPYC\n\nprocessor\t: 1\n")
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    assert str(machine.processor()) == f"AMD EPYC ({kind})"
