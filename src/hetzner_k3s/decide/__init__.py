"""Pure decisions: from a spec and an observation to a plan. No I/O, no clock, no randomness."""

from hetzner_k3s.decide.control_plane import healthy_master
from hetzner_k3s.decide.forecast import forecast
from hetzner_k3s.decide.observer import pending
from hetzner_k3s.decide.report import report
from hetzner_k3s.decide.rules import plan

__all__ = ["forecast", "healthy_master", "pending", "plan", "report"]
