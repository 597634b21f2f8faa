"""What was measured on, and with which versions: nothing that names the machine or its folders."""

import os
import platform
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
