"""`ports.Cloud` over HTTP."""

from hetzner_k3s.adapters.hetzner.cloud import DEFAULT_ENDPOINT, HetznerCloud

__all__ = ["DEFAULT_ENDPOINT", "HetznerCloud"]
