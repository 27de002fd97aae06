"""What was lost or is not well, while quorum holds: power, replacement, stale Nodes, workers to reconnect."""
