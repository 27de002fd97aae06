"""Bringing running servers to what the file says now, with the consent `Rollout`."""
