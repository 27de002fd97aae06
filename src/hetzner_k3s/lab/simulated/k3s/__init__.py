"""k3s on virtual time: servers, agents, and what they do for one another and for the cluster."""
