"""`k3s server`: from the decision how to start to a running API, snapshots and resets."""
