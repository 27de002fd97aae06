"""Looking: what exists at Hetzner, what each host says, what the Kubernetes API says. Nothing is changed here."""

from hetzner_k3s.observe.focus import focus_after, is_changing
from hetzner_k3s.observe.observer import (
    SIGHT,
    Focus,
    Sight,
    observe,
    observe_again,
    observe_hosts,
    observe_masters,
    observe_under_lock,
    with_assortment,
)

__all__ = [
    "SIGHT",
    "Focus",
    "Sight",
    "focus_after",
    "is_changing",
    "observe",
    "observe_again",
    "observe_hosts",
    "observe_masters",
    "observe_under_lock",
    "with_assortment",
]
