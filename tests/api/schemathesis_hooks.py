"""What schemathesis has to be told (SCHEMATHESIS_HOOKS): an address like …/{id}:cancel holds an id, and is none."""

from typing import Any
from urllib.parse import unquote

import schemathesis


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Take what it found in links for an id as what it is."""
    for name, value in (case.path_parameters or {}).items():
        if isinstance(value, str):
            case.path_parameters[name] = unquote(value).partition(":")[0]
