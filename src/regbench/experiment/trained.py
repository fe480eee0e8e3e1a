"""The network that a run has trained, ready to use: pixels in, logits out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from regbench.config.defaults import completed
from regbench.config.location import cache_dir
from regbench.config.registry import Option
from regbench.config.run_config import RunConfig
from regbench.data import download, image_folder
from regbench.data.datasets import CLASSES
from regbench.data.split import affine, load_split
from regbench.errors import UserError
from regbench.experiment.checks import check
from regbench.guarded import read_bounded
from regbench.models.architectures import skeleton, with_memory
from regbench.models.dense import Linear
from regbench.records.files import MODEL, RUN
from regbench.records.names import check_is_run
from regbench.records.run_json import Recorded, UnreadableError, content_of, parse, why


class Trained(nn.Module):
    """A network with the scaling of its run: pixels [n, 28, 28] from 0 (black) to 255 (white), of any type, to logits.

    The images of MNIST are light on dark. `classes` names the outputs.
    """

    def __init__(self, network: nn.Module, scale: float, shift: float, classes: list[str]) -> None:
        super().__init__()
        self.network, self.scale, self.shift, self.classes = network, scale, shift, classes
        self._type = next(network.parameters()).dtype

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, classes]."""
        logits: Tensor = self.network(images.to(self._type) * self.scale + self.shift)
        return logits


def load_model(run: Path) -> Trained:
    """Load the network of a completed run, at the epoch that validation chose, in evaluation mode on the CPU.

    Raises:
        UserError: the directory holds no completed run, its weights are damaged or do not fit its config, or the images
            that its scaling was computed from are gone.
    """
    config = check(_config(run))
    weights = _weights(run)
    network = with_memory(skeleton(config))
    for module in network.modules():
        if type(module) is Linear:
            module.__class__ = nn.Linear  # type: ignore[assignment]  # the same product by torch's own layer, which every exporter knows
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        raise UserError(f"{run / MODEL}: does not fit the config of its run") from None
    kinds = {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()}
    model = Trained(network.to(kinds.pop()), *_scaling(config), _class_names(config.data))
    return model.eval().requires_grad_(False)


def _config(run: Path) -> Mapping[str, Any]:
    check_is_run(run)
    try:
        recorded = parse(content_of(run), Recorded)
    except (OSError, UnreadableError) as error:
        raise UserError(f"{run / RUN} {why(error)}") from None
    if recorded.status != "completed":
        raise UserError(f"{run}: the run is {recorded.status}: only a completed one has weights to use")
    return completed(recorded.config)


def _weights(run: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(read_bounded(run / MODEL, 2**34))
    except OSError as error:
        raise UserError(f"{run / MODEL}: cannot be read ({error.strerror})") from None
    except SafetensorError as error:
        raise UserError(f"{run / MODEL}: is damaged ({error})") from None


def _scaling(config: RunConfig) -> tuple[float, float]:
    """Return scale and shift of raw pixels; the images are read only where mean or std were computed from them."""
    args = config.data.args
    if args["scaling"] == "standard" and None in (args["mean"], args["std"]):
        split = load_split(config.data, config.seed, torch.device("cpu"), cache_dir(None))
        return split.scale, split.shift
    nothing = torch.empty(0)
    return affine(nothing, nothing, args["scaling"], args["mean"], args["std"])


def _class_names(data: Option) -> list[str]:
    """Name the classes of a data set in the order of the labels."""
    if path := data.args.get("path"):
        return image_folder.listed(path)["train"].classes
    if download.has(data.name):
        return [str(name) for name in download.source(data.name).classes]
    return [str(digit) for digit in range(CLASSES)]
