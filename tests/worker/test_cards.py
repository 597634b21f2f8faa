"""Workers find the cards of their machine, and say so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from tests.mlcore.devices import needs_card
from worker import cards
from worker.__main__ import equipped
from worker.cards import Card, NoCard
from worker.settings import WorkerSettings

H200 = Card(number=1, name="NVIDIA H200", memory=150 * 10**9)


def found(monkeypatch: pytest.MonkeyPatch, *there: Card) -> None:
    monkeypatch.setattr(cards, "find", lambda: list(there))


def test_a_machine_without_a_driver_has_no_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cards, "DRIVERS", (tmp_path / "none",))
    assert cards.find() == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use a card here")
def test_a_driver_whose_cards_torch_cannot_use_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cards, "DRIVERS", (tmp_path,))
    assert cards.find() == []


@needs_card
def test_cards_are_told_with_name_and_memory() -> None:
    told = subprocess.run([sys.executable, "-m", "worker.cards"], capture_output=True, check=True)
    assert [(one["name"], one["memory"]) for one in json.loads(told.stdout)] == [
        (one.name, one.total_memory) for one in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    ]


def test_a_worker_takes_the_first_card_and_listens_to_both_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, H200, H200.model_copy(update={"number": 2}))
    settings = equipped(WorkerSettings())
    assert settings.card == H200
    assert settings.queues == ("gpu", "cpu")
    assert settings.trains_on == "cuda NVIDIA H200"


def test_a_worker_without_a_card_listens_to_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch)
    settings = equipped(WorkerSettings())
    assert (settings.queues, settings.trains_on) == (("cpu",), "cpu")


def test_a_worker_that_is_to_train_on_the_cpu_looks_for_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, H200)
    assert equipped(WorkerSettings(device="cpu", card=H200)).queues == ("cpu",)


def test_a_worker_that_needs_a_card_and_has_none_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch)
    with pytest.raises(NoCard, match="EPOCHD_DEVICE is gpu"):
        equipped(WorkerSettings(device="gpu"))


@pytest.mark.parametrize(("visible", "number"), [(None, "1"), ("2,5", "5"), ("GPU-aa, GPU-bb", "GPU-bb")])
def test_a_slot_sees_its_card_alone_and_knows_its_part_of_it(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, number: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    part = H200.shared_by(3)
    environment = part.environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = equipped(WorkerSettings(device="gpu"))
    assert settings.card == part
    assert part.memory == 50 * 10**9
    assert environment["CUDA_VISIBLE_DEVICES"] == number


def test_a_card_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError):
        WorkerSettings.model_validate({"card": {"name": "x"}})
