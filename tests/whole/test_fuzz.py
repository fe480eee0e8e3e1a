"""Mutated files and words: every outcome is a result, a skipped file with its reason, or one line.

Short here; `scripts/fuzz --minutes N` draws anew for as long as wanted.
"""

import gzip
import json
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golden.records import record, write, write_metrics
from regbench.cli import group
from regbench.condition import condition
from regbench.data import idx
from regbench.errors import UserError
from regbench.records import checkpoint, correct_images
from regbench.training.stack import Stack
from regbench.training.state_needs import StateNeeds
from support import CPU, batch, composed, pack_idx

EXAMPLES = int(os.environ.get("REGBENCH_FUZZ", "25"))  # of each test
FUZZED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="REGBENCH_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["\x1b]0;x\x07", "=1", "\u202e"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
COMMANDS = (
    ["ls"],
    ["ls", "--format", "json"],
    ["summary"],
    ["summary", "--format", "json", "--test-noise"],
    ["summary", "--format", "md", "--metric", "weight_norm:lower"],
    ["effects"],
    ["explain", "norm=none"],
    ["rm", "--dry-run", "--where", "seed >= 0"],
)


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in nested ones."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [(*path, key) for key, _ in items] + [place for key, inner in items for place in places(inner, (*path, key))]


def mutated(content: Any, place: int, value: Any) -> Any:
    """A copy with another value at one place."""
    copy = json.loads(json.dumps(content))
    *way, last = (found := places(copy))[place % len(found)]
    inner = copy
    for key in way:
        inner = inner[key]
    inner[last] = value
    return copy


@pytest.fixture(scope="module")
def runs() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        for seed in (0, 1, 2):
            write_metrics(write(Path(folder), record(seed=seed), f"run{seed}"), 1.0 + seed)
        yield Path(folder)


@pytest.mark.slow
@FUZZED
@given(place=st.integers(0, 10_000), value=VALUES, command=st.sampled_from(COMMANDS))
def test_a_mutated_record_ends_no_command(runs, capsys, place, value, command):
    path = runs / "default/run1/run.json"
    whole = path.read_text()
    path.write_text(json.dumps(mutated(json.loads(whole), place, value)))
    names = [str(runs)]
    try:
        with pytest.raises(SystemExit) as ended:
            group.main([*command, *names])
    finally:
        path.write_text(whole)
    output = capsys.readouterr()
    assert ended.value.code in (0, 2, None)
    assert not {"\x1b", "\x07", "\u202e"} & set(output.out + output.err) or "json" in command
    if ended.value.code == 2:
        assert output.err.count("\n") == 1


SOME = "norm seed optimizer.lr none batch 0 1e9 ( ) [ ] , == != < in not and or - + / 'x' .5 . true null %"
WORDS = st.lists(st.sampled_from(SOME.split(" ")), max_size=12)


@FUZZED
@given(WORDS)
def test_a_condition_holds_or_is_refused(words):
    try:
        condition(" ".join(words))({"norm": "batch", "seed": 1, "optimizer.lr": 0.1})
    except UserError as error:
        assert str(error)


@pytest.fixture(scope="module")
def saved() -> tuple[bytes, StateNeeds]:
    config = composed("model.hidden=[4]", "epochs=2")
    stack = Stack([config], CPU)
    stack.begin_epoch(0)
    stack.step(*batch(1))
    best = {"epoch": 1, "val_loss": 0.5, "weights": stack.weights(0)}
    row = dict.fromkeys(checkpoint.Epoch.__dataclass_fields__, 0.5) | {"epoch": 1}
    kept = {"identity": "i", "epoch": 1, "rows": [row], "layers": [], "val_losses": [0.5], "best": best}
    return checkpoint.encode(stack.state(0) | kept), StateNeeds(config)


@FUZZED
@given(place=st.integers(0, 10**9), bit=st.integers(0, 7), cut=st.integers(0, 40))
def test_a_flipped_bit_of_a_checkpoint_is_found_or_changes_nothing(saved, tmp_path_factory, place, bit, cut):
    content, needs = saved
    damaged = bytearray(content)
    damaged[place % len(content)] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "checkpoint.pt"
    path.write_bytes(content)
    whole = checkpoint.read(path, "i", needs)
    path.write_bytes(damaged if cut else damaged[: place % len(content)])
    try:
        state = checkpoint.read(path, "i", needs)
    except checkpoint.DamagedError as error:
        assert "\n" not in str(error)
    else:
        assert all(torch.equal(state["weights"][name], whole["weights"][name]) for name in whole["weights"])


@FUZZED
@given(st.integers(0, 2**31))
def test_a_damaged_data_file_is_one_line(number):
    rng = random.Random(number)
    content = bytearray(gzip.decompress(pack_idx(torch.arange(100, dtype=torch.uint8).view(4, 5, 5))))
    for _ in range(rng.randrange(1, 4)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    packed = bytearray(gzip.compress(bytes(content), mtime=0))
    if rng.random() < 0.5:
        packed[rng.randrange(len(packed))] ^= 1 << rng.randrange(8)
    try:
        assert idx.decode(bytes(packed), "x", 3).dim() == 3
    except UserError as error:
        assert "\n" not in str(error)


@FUZZED
@given(st.binary(max_size=200))
def test_a_damaged_file_of_images_is_left_out(tmp_path_factory, content):
    folder = tmp_path_factory.getbasetemp() / "images"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "correct.safetensors").write_bytes(content)
    assert correct_images.read(folder) is None
