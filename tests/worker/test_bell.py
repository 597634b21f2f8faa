"""Waking whoever looks into a folder."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from worker.bell import Bell, ring

LONG = 60.0  # seconds that no test waits


def bells(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix == ".bell"]


def test_everybody_is_woken_once(tmp_path: Path) -> None:
    waiting = [Bell(tmp_path) for _ in range(3)]
    threads = [threading.Thread(target=bell.wait, args=(LONG,)) for bell in waiting]
    for thread in threads:
        thread.start()
    ring(tmp_path)
    for thread in threads:
        thread.join(LONG / 2)
        assert not thread.is_alive()
    start = time.monotonic()
    for bell in waiting:
        bell.wait(0.05)
    assert time.monotonic() - start >= 0.15


def test_a_ring_before_the_wait_counts_and_many_count_once(tmp_path: Path) -> None:
    bell = Bell(tmp_path)
    for _ in range(100):
        ring(tmp_path)
    bell.wait(LONG)
    start = time.monotonic()
    bell.wait(0.05)
    assert time.monotonic() - start >= 0.05


def test_a_bell_that_nobody_reads_holds_nobody_up(tmp_path: Path) -> None:
    bell = Bell(tmp_path)
    (path,) = bells(tmp_path)
    filler = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(filler, bytes(65_536))
    os.close(filler)
    ring(tmp_path)
    bell.wait(LONG)


def test_what_a_process_left_behind_is_removed(tmp_path: Path) -> None:
    gone, bell = Bell(tmp_path), Bell(tmp_path)
    os.close(gone._descriptor)  # as when it is killed
    ring(tmp_path)
    bell.wait(LONG)
    assert len(bells(tmp_path)) == 1
    bell.close()
    assert not list(tmp_path.iterdir())


def test_one_that_goes_while_it_is_rung_keeps_the_others_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = [Bell(tmp_path) for _ in range(2)]
    write, written = os.write, []

    def fail_at_first(descriptor: int, data: bytes) -> int:
        written.append(data)
        if len(written) == 1:
            raise BrokenPipeError
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", fail_at_first)
    ring(tmp_path)
    woken = [bell for bell in waiting if bell._poll.poll(0)]
    assert len(woken) == 1


def test_a_folder_that_is_not_there_has_nobody_to_wake(tmp_path: Path) -> None:
    ring(tmp_path / "nowhere")
