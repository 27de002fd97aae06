"""What concerns Nodes and volumes in Kubernetes."""
