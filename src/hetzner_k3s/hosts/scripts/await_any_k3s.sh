# Runs once, after k3s was started on this host: a server that is active, or an agent that has its certificates (it stays
# `activating` until a cloud controller has seen its Node).
until { [ -e /etc/rancher/k3s/k3s.yaml ] && systemctl -q is-active k3s.service; } ||
    { [ -e /var/lib/rancher/k3s/agent/client-kubelet.crt ] && [ "$(systemctl show -p MainPID --value k3s-agent.service)" != 0 ]; }; do
    sleep 1
done
