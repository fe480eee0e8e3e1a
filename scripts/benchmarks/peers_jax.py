"""The same runs by JAX: `python peers_jax.py DATA.npz RUNS MODEL IMAGES MANY` in an environment that has it.

Nothing of regbench is imported here. Prints JSON: seconds of training, of training with validation and test, and of
compiling, and the test accuracy. `MANY` is 1 for `jit(vmap(scan))` over all runs, 0 for `jit(scan)` run after run.
"""

import json
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_BATCH, _LR, _BETAS, _EPS = 100, 1e-3, (0.9, 0.999), 1e-8
_SHAPES = {
    "mlp": [(784, 256), (256, 256), (256, 10)],
    "cnn": [(3, 3, 1, 16), (3, 3, 16, 32), (3, 3, 32, 64), (3136, 100), (100, 10)],
}


def initial(key, model):
    """Draw weights as torch's layers do: uniform within 1 / sqrt(inputs)."""
    layers = []
    for shape in _SHAPES[model]:
        key, one, other = jax.random.split(key, 3)
        bound = float(np.prod(shape[:-1])) ** -0.5
        weight = jax.random.uniform(one, shape, minval=-bound, maxval=bound)
        layers.append((weight, jax.random.uniform(other, shape[-1:], minval=-bound, maxval=bound)))
    return layers


def logits(layers, x):
    """Images [B, 28, 28] to logits [B, 10]; convolutions are halved by max-pooling from the second on."""
    convolutions = [layer for layer in layers if layer[0].ndim == 4]
    x = x[..., None]
    for index, (weight, bias) in enumerate(convolutions):
        x = lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(x + bias)
        if index:
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = x.reshape(len(x), -1)
    dense = layers[len(convolutions) :]
    for weight, bias in dense[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    return x @ dense[-1][0] + dense[-1][1]


def loss(layers, x, y):
    """Mean cross-entropy."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits(layers, x)), y[:, None], 1).mean()


def epoch(layers, order, x, y):
    """Train in batches by the order [steps, B], with adam."""

    def step(state, rows):
        layers, first, second, t = state
        gradient = jax.grad(loss)(layers, x[rows], y[rows])
        first = jax.tree.map(lambda m, g: _BETAS[0] * m + (1 - _BETAS[0]) * g, first, gradient)
        second = jax.tree.map(lambda v, g: _BETAS[1] * v + (1 - _BETAS[1]) * g * g, second, gradient)
        one, other = 1 - _BETAS[0] ** t, 1 - _BETAS[1] ** t
        move = lambda w, m, v: w - _LR * (m / one) / (jnp.sqrt(v / other) + _EPS)  # noqa: E731
        return (jax.tree.map(move, layers, first, second), first, second, t + 1), None

    zeros = jax.tree.map(jnp.zeros_like, layers)
    (layers, *_), _ = lax.scan(step, (layers, zeros, zeros, 1.0), order)
    return layers


def share_right(layers, x, y):
    """Return the share of images that are classified correctly, counted 1,000 at a time."""
    parts = x.reshape(-1, 1_000, 28, 28), y.reshape(-1, 1_000)
    return lax.map(lambda part: (logits(layers, part[0]).argmax(1) == part[1]).mean(), parts).mean()


def main(path, runs, model, images, many):
    """Train, validate and test."""
    data = np.load(path)
    scaled = {name: (data[name].astype(np.float32) / 255 - 0.1307) / 0.3081 for name in ("train_x", "test_x")}
    x, test_x = jnp.array(scaled["train_x"]), jnp.array(scaled["test_x"])
    y, test_y = jnp.array(data["train_y"]), jnp.array(data["test_y"])
    rng = np.random.default_rng(0)
    orders = jnp.array(np.stack([rng.permutation(images).reshape(-1, _BATCH) for _ in range(runs)]))
    keys = jax.random.split(jax.random.key(0), runs)
    over = partial(jax.vmap, in_axes=(0, None, None)) if many else lambda function: function
    trained = jax.vmap(epoch, in_axes=(0, 0, None, None)) if many else epoch
    layers = jax.vmap(partial(initial, model=model))(keys)
    work = [(layers, orders)] if many else [(jax.tree.map(lambda w, i=i: w[i], layers), orders[i]) for i in range(runs)]
    start = time.perf_counter()
    train = jax.jit(trained).lower(*work[0], x, y).compile()
    validate = jax.jit(over(share_right)).lower(work[0][0], x[-5_000:], y[-5_000:]).compile()
    test = jax.jit(over(share_right)).lower(work[0][0], test_x, test_y).compile()
    compiling, training, whole, right = time.perf_counter() - start, 0.0, 0.0, []
    for of_runs, order in work:
        start = time.perf_counter()
        after = jax.block_until_ready(train(of_runs, order, x, y))
        training += time.perf_counter() - start
        jax.block_until_ready(validate(after, x[-5_000:], y[-5_000:]))
        right.append(float(test(after, test_x, test_y).mean()))
        whole += time.perf_counter() - start
    print(json.dumps([training, whole, compiling, sum(right) / len(right)]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5] == "1")
