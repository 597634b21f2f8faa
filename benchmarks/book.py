"""The book's own loops: Dive into Deep Learning, sections 4.2 to 4.4, with the functions of d2l 0.17.6 from PyPI.

They call what the chapter calls, with its numbers. Its Animator, which draws the figure anew at each point, is left
out unless it is asked for: it costs more than the training, and is no part of what is compared.
"""

import io
import math
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any, Final

import numpy as np

SOURCE: Final = "Dive into Deep Learning, 4.2 to 4.4 (d2l 0.17.6, torch)"
MOST_FEATURES: Final = 20
TRUE_WEIGHTS: Final = (5, 1.2, -3.4, 5.6)
SHOWN_EVERY: Final = 20  # epochs between two points of the chapter's figure

Point = tuple[int, float, float]


def functions() -> Any:  # noqa: ANN401 - the package has no types
    """Import d2l.torch; torchvision first, in the way that also works beside a CPU-only torch."""
    from mlcore.data.fashion_mnist_source import fashion_mnist_class

    fashion_mnist_class()
    from d2l import torch as d2l

    return d2l


def polynomial_run(
    degree: int, epochs: int = 400, *, shown_every: int = SHOWN_EVERY, report: Callable[[Point], None] | None = None
) -> list[Point]:
    """Train the chapter's polynomial regression (4.4); returns epoch, training and test loss of each point shown."""
    import torch
    from torch import nn

    d2l = functions()
    features, labels = _polynomial_data()
    features = features[:, : degree + 1]
    loss = nn.MSELoss(reduction="none")
    net = nn.Sequential(nn.Linear(degree + 1, 1, bias=False))
    batch_size = min(10, len(labels) // 2)
    train_iter = d2l.load_array((features[:100], labels[:100].reshape(-1, 1)), batch_size)
    test_iter = d2l.load_array((features[100:], labels[100:].reshape(-1, 1)), batch_size, is_train=False)
    trainer = torch.optim.SGD(net.parameters(), lr=0.01)
    points: list[Point] = []
    for epoch in range(1, epochs + 1):
        d2l.train_epoch_ch3(net, train_iter, loss, trainer)
        if epoch == 1 or epoch % shown_every == 0:
            train_loss, test_loss = (float(d2l.evaluate_loss(net, data, loss)) for data in (train_iter, test_iter))
            points.append((epoch, train_loss, test_loss))
            if report is not None:
                report(points[-1])
    return points


def polynomial_run_drawn(degree: int, epochs: int = 400) -> list[Point]:
    """Do the same as the chapter does it in a notebook: with its Animator, without a screen."""
    from matplotlib import pyplot as plt

    plt.switch_backend("agg")
    axes = {"xlabel": "epoch", "ylabel": "loss", "yscale": "log", "xlim": [1, epochs], "ylim": [1e-3, 1e2]}
    animator = functions().Animator(**axes, legend=["train", "test"])
    with redirect_stdout(io.StringIO()):  # where a notebook would show the figure
        points = polynomial_run(degree, epochs, report=lambda point: animator.add(point[0], point[1:]))
    plt.close(animator.fig)
    return points


def _polynomial_data() -> tuple[Any, Any]:
    """Draw 100 training and 100 test points: x from N(0, 1), features xⁱ/i!, labels with noise of 0.1; float32."""
    import torch

    random = np.random.default_rng()
    x = random.normal(size=(200, 1))
    features = x ** np.arange(MOST_FEATURES) / [math.factorial(power) for power in range(MOST_FEATURES)]
    weights = np.zeros(MOST_FEATURES)
    weights[: len(TRUE_WEIGHTS)] = TRUE_WEIGHTS
    labels = features @ weights + random.normal(scale=0.1, size=200)
    return torch.tensor(features, dtype=torch.float32), torch.tensor(labels, dtype=torch.float32)


class Mlp:
    """The chapter's MLP on Fashion-MNIST (4.3): 784, 256 and 10 units, ReLU, batch size 256, learning rate 0.1."""

    def __init__(self) -> None:
        """Make net, data iterators and trainer; to be called where the book's `../data` has the images."""
        import torch
        from torch import nn

        self._d2l = functions()
        self._net = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
        self._net.apply(_init_weights)
        self._loss = nn.CrossEntropyLoss(reduction="none")
        self._train_iter, self._test_iter = self._d2l.load_data_fashion_mnist(256)
        self._trainer = torch.optim.SGD(self._net.parameters(), lr=0.1)

    def epoch(self) -> tuple[float, float, float]:
        """Train an epoch and evaluate, as train_ch3 does; returns training loss and accuracy, and test accuracy."""
        loss, accuracy = self._d2l.train_epoch_ch3(self._net, self._train_iter, self._loss, self._trainer)
        return loss, accuracy, self._d2l.evaluate_accuracy(self._net, self._test_iter)


def _init_weights(module: Any) -> None:  # noqa: ANN401 - torch.nn.Module, which is not imported here
    from torch import nn

    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
