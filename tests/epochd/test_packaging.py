"""`pip install epochd` without extras is the client and a command line that can say what is missing."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BLOCK = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
{code}
"""


def modules_of_the_server_extra() -> set[str]:
    """What `epochd[server]` names and the base does not; pydantic comes with the base's typer."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = {_name(line) for line in project["optional-dependencies"]["server"]} - {"pydantic"}
    return {
        module
        for module, distributions in packages_distributions().items()
        if wanted & {_name(distribution) for distribution in distributions}
    }


def _name(requirement: str) -> str:
    return requirement.split("[")[0].split(">")[0].split("=")[0].lower().replace("_", "-")


def run_with_base_only(code: str) -> "subprocess.CompletedProcess[str]":
    program = BLOCK.format(blocked=modules_of_the_server_extra(), code=code)
    return subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_blocked_packages_are_those_of_the_server() -> None:
    assert {"torch", "fastapi", "sqlalchemy", "celery", "numpy"} <= modules_of_the_server_extra()


@pytest.mark.parametrize("code", ["from epochd import Client, EpochdError", "from epochd.commands import app"])
def test_the_base_dependencies_are_enough(code: str) -> None:
    result = run_with_base_only(code)

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("command", ["up", "demo", "claims"])
def test_what_needs_the_server_says_what_to_install(command: str) -> None:
    result = run_with_base_only(f"from epochd.commands import main; sys.argv = ['epochd', {command!r}]; main()")

    assert result.returncode == 1
    assert "pip install '.[server]'" in result.stderr
