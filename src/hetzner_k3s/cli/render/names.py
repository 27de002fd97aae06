"""What resources are called when a person reads of them."""

from __future__ import annotations


def short(name: str, cluster: str) -> str:
    """Drop the cluster's name from the front of a resource's: `prod-master1` is `master1` to whoever runs `prod`."""
    return name.removeprefix(f"{cluster}-") or name
