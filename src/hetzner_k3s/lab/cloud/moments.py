"""Points in time as the API prints them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(seconds: float) -> str:
    """Print UNIX seconds as RFC 3339 UTC ending in Z (docs/facts/hetzner-api.md#ids-and-times)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
