"""Mutants of `scripts/sampled-mutants` that no test kills, and why: nobody could notice, or nobody would."""

from __future__ import annotations

from typing import Final

REASONS: Final[dict[str, str]] = {}
