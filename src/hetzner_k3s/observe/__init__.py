"""Looking: what exists at Hetzner, what each host says, what the Kubernetes API says. Nothing is changed here."""

from hetzner_k3s.observe.observer import Focus, observe, observe_again, with_assortment, with_assortment_of

__all__ = ["Focus", "observe", "observe_again", "with_assortment", "with_assortment_of"]
