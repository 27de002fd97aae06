"""k3s' controllers: leader election, members of deleted Nodes, learners, silent nodes, namespaces, cloud."""
