"""`k3s agent`: the kubelet, the Node it keeps, and how it finds servers."""
