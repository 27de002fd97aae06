"""The report of a bug: a traceback in a file, since a screen full of it helps no user."""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path


def write_report(error: Exception) -> Path:
    """Write the traceback (no values of variables, so no secrets) to a new file of mode 0600, and give its path."""
    handle, name = tempfile.mkstemp(prefix="hetzner-k3s-crash-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as report:
        report.writelines(traceback.format_exception(error))
    return Path(name)
