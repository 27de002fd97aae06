"""Pure decisions: from a spec and an observation to a plan. No I/O, no clock, no randomness."""

from hetzner_k3s.decide.forecast import forecast
from hetzner_k3s.decide.lifecycle.kubeconfig import access
from hetzner_k3s.decide.program import plan
from hetzner_k3s.decide.rollout.surge import wanted
from hetzner_k3s.decide.status.observer import pending
from hetzner_k3s.decide.status.report import report
from hetzner_k3s.decide.view.control_plane import healthy_master

__all__ = ["access", "forecast", "healthy_master", "pending", "plan", "report", "wanted"]
