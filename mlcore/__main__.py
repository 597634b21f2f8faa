"""Train one run from the command line, with no database and no broker.

`python -m mlcore --variant polynomial --degree 19` prints the metrics of its epochs; every field of the spec is an
option whose value is JSON: `--hidden '[256, 64]'`.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlcore.errors import MlcoreError
from mlcore.spec import VARIANTS, RunSpec, parse_run_spec
from mlcore.training import EpochReport, Training

SHOWN_LINES = 20


def main(arguments: list[str] | None = None) -> int:
    """Train, print, and return the exit code."""
    try:
        spec, data_root = _parsed(sys.argv[1:] if arguments is None else arguments)
        _train(spec, data_root)
    except ValidationError as error:
        for problem in error.errors():
            if problem["type"] == "default_factory_not_called":  # follows from another problem
                continue
            sys.stderr.write(f"--{problem['loc'][-1] if problem['loc'] else 'spec'}: {problem['msg']}\n")
        return 2
    except MlcoreError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parsed(arguments: list[str]) -> tuple[RunSpec, Path]:
    parser = argparse.ArgumentParser(prog="python -m mlcore", description=__doc__)
    parser.add_argument("--variant", choices=VARIANTS, default="polynomial", help="what to train (polynomial)")
    home = Path(os.environ.get("EPOCHD_DATA") or "var")
    parser.add_argument("--data", type=Path, default=home, help="the data folder, for Fashion-MNIST; or EPOCHD_DATA")
    fields = {name for variant in VARIANTS.values() for name in variant.model_fields} - {"variant"}
    for name in sorted(fields):
        spellings = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
        parser.add_argument(*spellings, dest=name, default=None, metavar="JSON")
    given = vars(parser.parse_args(arguments))
    spec = {name: _json(given[name]) for name in fields if given[name] is not None}
    return parse_run_spec({"variant": given["variant"], **spec}), given["data"]


def _json(text: str) -> Any:  # noqa: ANN401 — whatever the field's type is
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _train(spec: RunSpec, data_root: Path) -> None:
    every = max(1, spec.epochs // SHOWN_LINES)
    for report in Training([spec], data_root=data_root):
        if isinstance(report, EpochReport) and (report.epoch % every == 0 or report.epoch == spec.epochs):
            shown = "  ".join(f"{name} {values[0]:.6g}" for name, values in report.metrics.items())
            sys.stdout.write(f"epoch {report.epoch:>5}  {shown}\n")
        if isinstance(report, EpochReport) and report.diverged:
            sys.stdout.write(f"diverged in epoch {report.epoch}\n")


if __name__ == "__main__":
    sys.exit(main())
