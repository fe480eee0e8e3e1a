"""The dropout masks of the runs of a stack."""

from collections.abc import Sequence

from torch import Generator, Tensor

from regbench.config.run_config import RunConfig
from regbench.rng import Stream, generator
from regbench.techniques.dropout import Dropout, draw
from regbench.training.network import Network

# Steps whose masks are drawn at once: otherwise a GPU waits for a call for each run in each step.
STEPS_AHEAD = {"cuda": 8}


class Masks:
    """Draws each run's masks from the run's own generator, so that they do not depend on its neighbours."""

    def __init__(self, configs: Sequence[RunConfig], network: Network) -> None:
        self._configs = configs
        self._weight = network.leaves[0]  # masks are like it: on its device, in its precision
        self._ahead = STEPS_AHEAD.get(self._weight.device.type, 1)
        layers = {name: layer for name, layer in network.template.named_modules() if isinstance(layer, Dropout)}
        self._layers = list(layers.values())
        modules = [dict(model.named_modules()) for model in network.models]
        # 0 where a run's model has no such layer
        self._rates = [[getattr(named.get(name), "rate", 0.0) for named in modules] for name in layers]
        self._rngs: list[Generator] = []
        self._drawn: list[Tensor] = []
        self._step = 0

    def begin_epoch(self, epoch: int) -> None:
        """Start the generators of an epoch, counted from 0."""
        device = self._weight.device
        self._rngs = [generator(config.seed, Stream.DROPOUT, epoch, device) for config in self._configs]
        self._step = 0

    def next(self, samples: int) -> list[Tensor]:
        """The masks of the next step, [K * samples, ...] for each layer."""
        place = self._step % self._ahead
        if place == 0:
            self._drawn = [
                self._draw(layer.shape, rates) for layer, rates in zip(self._layers, self._rates, strict=True)
            ]
        self._step += 1
        return [masks[:, place, :samples].flatten(0, 1) for masks in self._drawn]

    def _draw(self, shape: tuple[int, ...], rates: Sequence[float]) -> Tensor:
        """Masks of the steps ahead, [K, steps, batch_size, *shape]."""
        masks = self._weight.new_empty(len(rates), self._ahead, self._configs[0].batch_size, *shape)
        for mask, rate, rng in zip(masks, rates, self._rngs, strict=True):
            draw(mask, rate, rng)
        return masks

    def put(self, masks: Sequence[Tensor]) -> None:
        """Have the layers drop what the masks say."""
        for layer, mask in zip(self._layers, masks, strict=True):
            layer.mask = mask

    def drop_nothing(self) -> None:
        """Have the layers let everything through until the network is put into training mode again."""
        for layer in self._layers:
            layer.eval()
