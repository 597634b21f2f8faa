"""Run all benchmarks, one after the other, and write the report: `python -m benchmarks [--quick] [name …]`."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.harness import clean_up_when_told_to_stop

QUICK: Final = Path("build/benchmarks")


def main() -> int:
    """Return 0 when every benchmark ran to its end, whatever its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"which to run (default: {' '.join(report.ORDER)})")
    parser.add_argument("--repeats", type=int, help="rounds of each benchmark (default: its own)")
    parser.add_argument("--quick", action="store_true", help=f"small sizes, one round; everything goes to {QUICK}")
    given = parser.parse_args()
    clean_up_when_told_to_stop()
    results = QUICK if given.quick else report.RESULTS
    results.mkdir(parents=True, exist_ok=True)
    options = [*(["--quick"] if given.quick else []), *([f"--repeats={given.repeats}"] if given.repeats else [])]
    failed = [name for name in given.names or report.ORDER if not _run(name, options, results)]
    report.write(results, QUICK if given.quick else report.DOCS)
    if failed:
        sys.stderr.write(f"did not run to the end: {', '.join(failed)}\n")
    return 1 if failed else 0


def _run(name: str, options: list[str], results: Path) -> bool:
    """Run one in a process of its own; its document replaces the older one only when it is whole."""
    unfinished = results / f"{name}.json.part"
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}", *options]
    with unfinished.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
        try:
            status = process.wait()
        finally:
            process.terminate()  # does nothing when it has ended
            process.wait()
    if status == 0:
        unfinished.replace(results / f"{name}.json")
    else:
        unfinished.unlink()
    return status == 0


if __name__ == "__main__":
    raise SystemExit(main())
