"""The handlers of steps, a module a concern; `act/registry.py` says which handler carries out which step."""
