# rotate_host_key PUBLIC_KEY <private key: installs it and returns when sshd offers it to new connections.
key=/etc/ssh/ssh_host_ed25519_key
public=$1
blob=$(printf %s "$public" | cut -d ' ' -f 2)
port=$(sshd -T 2>/dev/null | sed -n 's/^port //p' | head -n 1)

offered() {
    ssh-keyscan -T 2 -t ed25519 -p "${port:-22}" 127.0.0.1 2>/dev/null | grep -qF "$blob"
}

write_atomically 0600 "$key" || fail "could not write $key"
printf '%s\n' "$public" | write_atomically 0644 "$key.pub" || fail "could not write $key.pub"
rm -f /etc/ssh/ssh_host_rsa_key* /etc/ssh/ssh_host_ecdsa_key* /etc/ssh/ssh_host_dsa_key*
# Where a socket starts an sshd for each connection there is nothing to reload; what counts is what is offered.
systemctl try-reload-or-restart ssh.service 2>/dev/null || systemctl try-reload-or-restart sshd.service 2>/dev/null

# While sshd executes itself anew it listens to nobody for a moment.
tries=0
until offered; do
    tries=$((tries + 1))
    [ "$tries" -lt 20 ] || fail 'sshd does not offer the new host key'
    sleep 0.3
done
done_with '{}'
