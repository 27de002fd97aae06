# Before the commands of the file, in the shell that they share: what they print goes to a log of this host's, and one
# that fails is noted with its last lines. The command itself is not: it may hold a password.
hetzner_k3s_commands=/var/lib/hetzner-k3s/commands
hetzner_k3s_failed() {
    [ "$1" -eq 0 ] || printf '%s failed (exit %s): %s\n' "$2" "$1" \
        "$(tail -n 3 "$hetzner_k3s_log" | tr '\n' ' ' | cut -c -300)" >>"$hetzner_k3s_commands/failed"
}
mkdir -p "$hetzner_k3s_commands" && chmod 0700 "$hetzner_k3s_commands"
trap 'hetzner_k3s_failed $? "$hetzner_k3s_which, or one before it,"' EXIT
exec >>"$hetzner_k3s_log" 2>&1
