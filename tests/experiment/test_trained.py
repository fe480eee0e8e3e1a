"""The network of a run, used outside regbench."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import regbench
from regbench import UserError
from regbench.cli import group
from regbench.experiment import train as experiment
from regbench.experiment.reporter import Reporter
from regbench.experiment.run import Run
from support import SMALL, composed, split_of

OVERRIDES = ("norm=batch", "dropout=0.2", *SMALL, "epochs=1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A completed run."""
    folder = tmp_path_factory.mktemp("runs")
    config = composed(*OVERRIDES, f"runtime.dir={folder}", "runtime.progress=off")
    return experiment.run(Run(config, OVERRIDES), Reporter("off")).path


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return split_of(composed(*OVERRIDES)).test_images[:5].numpy()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)

    def call(*words: str | Path) -> str:
        with pytest.raises(SystemExit) as end:
            group.main(list(map(str, words)))
        out, err = capsys.readouterr()
        return err if end.value.code else out

    return call


def test_a_loaded_network_gives_the_recorded_test_accuracy(run: Path) -> None:
    from regbench.data.datasets import load

    images = load("mnist", Path("unused"))
    model = regbench.load_model(run)
    with torch.no_grad():
        right = (model(images.test_images).argmax(1) == images.test_labels).float().mean().item()
    recorded = json.loads((run / "run.json").read_text())["result"]["best_val"]["test_acc"]
    assert right == pytest.approx(recorded, abs=2e-4)
    assert model.classes == list("0123456789")


@pytest.mark.slow
def test_onnx_equals_torch_for_any_number_of_images(
    run: Path, pixels: NDArray[np.uint8], command: Callable[..., str]
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    command("export", run, "--to", "onnx", "-o", "m.onnx")
    session = runtime.InferenceSession("m.onnx")
    expected = regbench.load_model(run)(torch.from_numpy(pixels)).numpy()
    for number in (1, 5):
        (logits,) = session.run(["logits"], {"images": pixels[:number].astype(np.float32)})
        np.testing.assert_allclose(logits, expected[:number], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_torchscript_equals_torch(run: Path, pixels: NDArray[np.uint8], command: Callable[..., str]) -> None:
    said = command("export", run, "--to", "torchscript")
    path = Path(f"{run.name}.pt")
    assert said == f"{path}: {path.stat().st_size:,} bytes\n"
    images = torch.from_numpy(pixels).float()
    torch.testing.assert_close(torch.jit.load(str(path))(images), regbench.load_model(run)(images))


def test_safetensors_hold_weights_scaling_and_classes(run: Path, command: Callable[..., str]) -> None:
    from safetensors import safe_open

    command("export", run, "--to", "safetensors", "-o", "m.safetensors")
    with safe_open("m.safetensors", "pt") as file:
        header, names = file.metadata(), set(file.keys())
    assert float(header["scale"]) == pytest.approx(1 / (255 * 0.3081))
    assert header["classes"].split("\n") == list("0123456789")
    assert names == set(regbench.load_model(run).network.state_dict())


def test_images_of_any_kind_are_classified_as_the_pixels_are(
    run: Path, pixels: NDArray[np.uint8], command: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "photos/below").mkdir(parents=True)
    Image.fromarray(pixels[0]).save(tmp_path / "photos/a.png")
    Image.fromarray(255 - pixels[0]).convert("RGB").save(tmp_path / "photos/b.bmp")
    Image.fromarray(pixels[1]).resize((280, 280), Image.Resampling.NEAREST).save(tmp_path / "photos/below/c.png")
    (tmp_path / "photos/notes.txt").touch()
    images = json.loads(command("predict", run, "photos", "--format", "json"))["images"]
    assert [(image["image"], image["inverted"]) for image in images] == [
        ("photos/a.png", False),
        ("photos/b.bmp", True),
        ("photos/below/c.png", False),
    ]
    expected = regbench.load_model(run)(torch.from_numpy(pixels)).double().softmax(1)
    assert images[0]["p"] == images[1]["p"]
    assert [images[0]["p"][digit] for digit in "0123456789"] == pytest.approx(expected[0].tolist(), abs=1e-6)
    assert [images[2]["p"][digit] for digit in "0123456789"] == pytest.approx(
        expected[1].tolist(), abs=0.05
    )  # twice resized
    kept = json.loads(command("predict", run, "photos/b.bmp", "--invert", "no", "--format", "json"))["images"][0]
    assert not kept["inverted"] and kept["p"] != images[1]["p"]


def test_the_table_names_the_three_likeliest_classes(
    run: Path, pixels: NDArray[np.uint8], command: Callable[..., str]
) -> None:
    Image.fromarray(pixels[0]).save("a.png")
    ranking = json.loads(command("predict", run, "a.png", "--format", "json"))["images"][0]["p"]
    (first, p), (second, _), (third, _) = list(ranking.items())[:3]
    assert list(ranking.values()) == sorted(ranking.values(), reverse=True)
    row = command("predict", run, "a.png", "--seen", "seen.png").splitlines()[1].split()
    assert row[:3] == ["a.png", first, f"{100 * p:.1f}"] and row[3::2] == [second, third]
    assert Image.open("seen.png").size[0] > 100


def test_mistakes_are_one_line(run: Path, command: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/run.json").write_bytes((run / "run.json").read_bytes())
    (tmp_path / "broken/model.safetensors").write_bytes(b"nothing")
    wrong = {
        ("predict", run, "none.png"): "none.png cannot be read as an image: No such file or directory",
        ("predict", run, "empty"): "empty: holds no images",
        ("predict", "empty", "a.png"): "empty: is not the directory of a run; regbench ls empty lists those below it",
        ("predict", "broken", "a.png"): "broken/model.safetensors: is damaged",
        ("predict", run, "a.png", "--seen", "a.doc"): "--seen a.doc: the ending must be .png, .svg or .pdf",
        ("export", "--to", "onnx"): "export --to onnx: needs one run, not none",
        ("export", run, "--to", "onnx", "-o", "-"): "onnx is binary: --output must be a file",
    }
    for words, message in wrong.items():
        said = command(*words)
        assert said.startswith(f"error: {message}") and said.count("\n") == 1
    with pytest.raises(UserError, match="is not the directory of a run"):
        regbench.load_model("empty")
