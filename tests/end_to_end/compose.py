"""What docker-compose.yml says, and its services as processes of this machine: with no container engine, but otherwise
with their own commands, environments, health checks and start order."""

import re
import signal
import subprocess
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final, Self

import yaml

from tests.waiting import wait_until

Json = dict[str, Any]

REPOSITORY: Final = Path(__file__).parents[2]
COMPOSE_FILE: Final = REPOSITORY / "docker-compose.yml"
VARIABLE: Final = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\})")
START_SECONDS: Final = 60.0


class VariableMissing(Exception):
    """The compose file asks for a variable that is not set."""


def compose_file(variables: Mapping[str, str]) -> Json:
    """Return the compose file with these variables put in, as docker compose does; raises VariableMissing."""
    document: Json = _interpolated(yaml.safe_load(COMPOSE_FILE.read_text()), variables)
    return document


def example_variables() -> dict[str, str]:
    """What .env.example sets or shows, commented out, how to set."""
    text = (REPOSITORY / ".env.example").read_text()
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))


def used_variables() -> set[str]:
    """The names of the variables that the compose file looks at."""
    return {found["name"] for found in VARIABLE.finditer(COMPOSE_FILE.read_text()) if found["name"]}


def _interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {key: _interpolated(item, variables) for key, item in value.items()}
        case list():
            return [_interpolated(item, variables) for item in value]
        case str():
            return VARIABLE.sub(lambda found: _word(found, variables), value)
    return value


def _word(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found["name"] is None:
        return "$"
    value = variables.get(found["name"], "")
    if not value and found["kind"] == "?":
        raise VariableMissing(f"{found['name']}: {found['word']}")
    return value or found["word"] or ""


class Composition:
    """The services of a compose file on this machine; a context manager that leaves nothing running."""

    def __init__(self, document: Json, folder: Path, environment: Mapping[str, str], here: Mapping[str, str]) -> None:
        """`environment` is what the images bring, `here` says where on this machine what is in the containers is."""
        self.services: Json = {name: each for name, each in document["services"].items() if "profiles" not in each}
        self._folder = folder
        self._environment = dict(environment)
        self._here = here
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def order(self) -> Iterable[str]:
        """The services, each after those it depends on."""
        needs = {name: each.get("depends_on", {}) for name, each in self.services.items()}
        return TopologicalSorter(needs).static_order()

    def run(self, name: str, *command: str) -> str:
        """Run a service once, as `docker compose run` does, with its own command or another; return what it prints."""
        done = subprocess.run(
            self._words(name, command or self.services[name]["command"]),
            env=self.environment_of(name),
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, name: str) -> None:
        """Start a service and return when its health check says that it is well."""
        own = self._folder / name
        own.mkdir()
        with self._log(name).open("wb") as log:
            self._running[name] = process = subprocess.Popen(
                self._words(name, self.services[name]["command"]),
                env=self.environment_of(name),
                cwd=own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(
            lambda: self.is_healthy(name) or process.poll() is not None, START_SECONDS, f"{name} is well", pause=0.2
        )
        assert process.poll() is None, self._log(name).read_text()

    def is_healthy(self, name: str) -> bool:
        """Ask the service's own health check."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        words = self._words(name, ["sh", "-c", *command] if kind == "CMD-SHELL" else command)
        return subprocess.run(words, env=self.environment_of(name), capture_output=True, check=False).returncode == 0

    def stop(self, name: str, seconds: float) -> int:
        """Ask a service to end, as `docker compose stop` does; return its exit status."""
        process = self._running[name]
        process.send_signal(signal.SIGTERM)
        return process.wait(seconds)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def environment_of(self, name: str) -> dict[str, str]:
        """The environment of a service's processes."""
        own = self.services[name].get("environment", {})
        return self._environment | {key: self._placed(name, str(value)) for key, value in own.items()}

    def _words(self, name: str, command: Iterable[str]) -> list[str]:
        return [self._placed(name, word) for word in command]

    def _placed(self, name: str, text: str) -> str:
        """The same with everything that is in the service's container where it is on this machine."""
        there = re.compile("|".join(map(re.escape, self._here)))
        return there.sub(lambda found: self._here[found[0]].replace("{service}", name), text)
