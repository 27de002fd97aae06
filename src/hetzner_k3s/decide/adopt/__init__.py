"""Adoption: a living cluster of hetzner-k3s 2.x is recorded as it is, and changed in nothing."""
