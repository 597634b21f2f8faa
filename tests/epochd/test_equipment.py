"""What `epochd up` gives its slots to train on."""

import socket
from pathlib import Path

import pytest

from epochd.listening import CannotServe
from epochd.supervisor import Options, _equipment, _processes
from worker import cards
from worker.cards import Card
from worker.settings import WorkerSettings

TWO = [Card(number=number, name="NVIDIA H200", memory=140) for number in range(2)]


def equipment(slots: int, **settings: object) -> list[Card | None]:
    options = Options("127.0.0.1", 0, Path("var"), slots)
    return _equipment(options, WorkerSettings.model_validate(settings))


@pytest.mark.parametrize(
    ("slots", "per_card", "on_cards", "on_cpu"), [(4, 1, 2, 2), (1, 1, 2, 0), (4, 3, 6, 0), (8, 2, 4, 4)]
)
def test_each_card_has_its_slots_and_the_others_train_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, slots: int, per_card: int, on_cards: int, on_cpu: int
) -> None:
    monkeypatch.setattr(cards, "find", lambda: TWO)
    given = equipment(slots, slots_per_card=per_card)
    assert [card is not None for card in given] == [True] * on_cards + [False] * on_cpu
    assert {card.memory for card in given if card is not None} == {140 // per_card}


def test_a_machine_without_cards_and_one_told_to_leave_them_train_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "find", list)
    assert equipment(2) == [None, None]
    monkeypatch.setattr(cards, "find", lambda: TWO)
    assert equipment(2, device="cpu") == [None, None]


def test_a_service_that_needs_a_card_and_has_none_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "find", list)
    with pytest.raises(CannotServe, match="no card"):
        equipment(1, device="gpu")


def test_slots_are_told_their_device_and_a_card_only_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        processes = _processes(Options("127.0.0.1", 0, Path("var"), 3), [*TWO, None], listening, 0)
    slots = [each.environment for each in processes if each.name.startswith("slot")]
    assert [slot["EPOCHD_DEVICE"] for slot in slots] == ["gpu", "gpu", "cpu"]
    assert [slot.get("CUDA_VISIBLE_DEVICES") for slot in slots] == ["0", "1", None]
    assert ["EPOCHD_CARD" in slot for slot in slots] == [True, True, False]
