"""The card's benchmark runs as it is, so that it does where there is a card."""

import pytest
import torch

from benchmarks import gpu
from benchmarks.harness import Findings, Options
from mlcore.spec import MlpSpec
from tests.mlcore.trainings import SAMPLE


def test_it_runs_at_a_tiny_size_on_whatever_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "HOME", SAMPLE)
    findings = Findings()
    gpu.measure(Options(repeats=1, quick=True), findings)
    of_cards = set() if torch.cuda.is_available() else {"stack_512_tf32", "loss_512_tf32"}
    assert set(findings.values) == set(gpu.BENCHMARK.series) - {"book_mlp", "book_polynomial"} - of_cards
    assert all(value > 0 for values in findings.values.values() for value in values)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card, and it would be measured")
def test_without_a_card_it_says_that_it_needs_one() -> None:
    with pytest.raises(SystemExit, match="needs a card"):
        gpu.measure(Options(repeats=1, quick=False), Findings())


def test_operations_are_counted_as_the_products_of_a_step() -> None:
    spec = MlpSpec(hidden=[256], n_train=256, batch_size=256, n_test=1)
    first, second = 784 * 256, 256 * 10
    forward, back, update, tested = first + second, second, first + second, (first + second) / 256
    assert gpu.operations(spec) == 2 * 256 * (forward + back + update + tested)


@pytest.mark.parametrize("runs", [1, 10_000, 100_000])
def test_a_sweep_has_as_many_different_runs_as_it_says(runs: int) -> None:
    assert len(set(gpu._points(runs))) == runs
