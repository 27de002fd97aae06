"""The report of a bug: a traceback in a file, since a screen full of it helps no user."""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path

from hetzner_k3s.model.secrets import masked
from hetzner_k3s.model.text.printable import printable


def write_report(error: Exception) -> Path:
    """Write the traceback to a new file of mode 0600, and give its path.

    It has no values of variables; an error's own words are masked, and lose what is not printable.
    """
    handle, name = tempfile.mkstemp(prefix="hetzner-k3s-crash-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as report:
        whole = masked("".join(traceback.format_exception(error)))
        report.writelines(f"{printable(line)}\n" for line in whole.split("\n"))
    return Path(name)
