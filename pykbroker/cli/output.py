"""How commands write their lines: UTF-8 whatever the terminal, and no complaint when the reader has gone."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

INTERRUPTED = 130
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def run_quietly(work: Callable[[], int]) -> int:
    """The exit code of `work`; 1 when whoever reads has gone, 130 after Ctrl-C."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def as_json(row: Any) -> str:
    """One line. A single value is fine too."""
    return _encode(row)
