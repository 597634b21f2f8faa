"""What was measured on, and with which versions: nothing that names the machine or its folders."""

import os
import platform
import resource
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

PACKAGES: Final = (
    "epochd",
    "torch",
    "torchvision",
    "numpy",
    "d2l",
    "scikit-learn",
    "ray",
    "mlflow",
    "sqlalchemy",
    "fastapi",
    "uvicorn",
    "celery",
    "pandas",
)
MIB: Final = 2**20


def about_machine() -> dict[str, Any]:
    """Return processor, cores, memory and system, and how busy it was before the benchmark began."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


class OtherWork:
    """How much of the machine others took while a benchmark ran, which its figures would suffer from.

    What this process and its children used is known once they have ended; of what they in turn left behind, it is not.
    """

    def __init__(self) -> None:
        self._at_start = time.monotonic(), _busy_seconds() - _own_seconds()

    def cores(self) -> float:
        """Return how many cores others kept busy since the start, on average."""
        since, others = self._at_start
        return max(0.0, _busy_seconds() - _own_seconds() - others) / (time.monotonic() - since)


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system)


def _own_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def versions() -> dict[str, str]:
    """Return the versions of what was compared; what is not installed is left out."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def resident_mib(process: psutil.Process) -> float:
    """Return the memory a process holds now, shared pages included."""
    return float(process.memory_info().rss) / MIB


def peak_resident_mib(process: psutil.Process) -> float:
    """Return the most memory a process has held so far; where the system does not tell, what it holds now."""
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resident_mib(process)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
