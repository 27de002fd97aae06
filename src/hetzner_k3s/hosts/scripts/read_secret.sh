# read_secret KIND: token, agent-token (a link to the token where agents have none of their own), kubeconfig, config-token
# (of config.yaml, else of a 2.x agent's environment) or config-agent-token; base64, so that any text travels in JSON.

# setting NAME: a text of config.yaml, quoted or not.
setting() {
    sed -n "s/^$1: *//p" "$k3s_config" 2>/dev/null | sed 's/^"\(.*\)"$/\1/; s/^'\''\(.*\)'\''$/\1/'
}

case $1 in
    token) text=$(cat "$k3s_data/server/token" 2>/dev/null) ;;
    kubeconfig) text=$(cat /etc/rancher/k3s/k3s.yaml 2>/dev/null) ;;
    agent-token) text=$(cat "$k3s_data/server/agent-token" 2>/dev/null) ;;
    config-token) text=$(setting token)
        [ -n "$text" ] || text=$(agent_setting K3S_TOKEN) ;;
    config-agent-token) text=$(setting agent-token) ;;
esac
[ -n "${text:-}" ] || fail "this host has no $1"
done_with "{\"base64\":\"$(printf %s "$text" | base64 -w 0)\"}"
