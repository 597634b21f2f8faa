import subprocess
import sys
from pathlib import Path

import pytest

from store.datafolder import lock_data_folder
from store.errors import DataFolderInUse

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from store.datafolder import lock_data_folder
with lock_data_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", HOLD, str(folder)]
    holder = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_the_folder_is_made_and_held(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with lock_data_folder(folder) as held:
        assert held == folder
        assert folder.is_dir()
        with pytest.raises(DataFolderInUse), lock_data_folder(folder):
            pass


def test_a_second_service_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with hold(tmp_path) as holder:
        with pytest.raises(DataFolderInUse, match=rf"{tmp_path}.*in use by another.*process {holder.pid}"):
            lock_data_folder(tmp_path).__enter__()
        holder.communicate()
    with lock_data_folder(tmp_path):
        pass


def test_a_killed_service_leaves_the_folder_free(tmp_path: Path) -> None:
    with hold(tmp_path) as holder:
        holder.kill()
    with lock_data_folder(tmp_path):
        pass


def test_programs_started_meanwhile_do_not_keep_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('started', flush=True); input()"]
    with lock_data_folder(tmp_path):
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, close_fds=False)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        with lock_data_folder(tmp_path):
            child.kill()
