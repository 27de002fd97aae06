# restart_birth: begins a birth anew whose first start was cut off right after etcd had begun its log. K3s never starts
# with what is left; nothing was served from it. The log is put aside, not deleted; the authorities stay, and with them
# the CA. What was seen is looked at again, since the start under way may be the one that goes through.
between_starts() {
    case $(systemctl show -p SubState --value k3s.service) in auto-restart* | failed | dead) return 0 ;; esac
    return 1
}

is_held && precondition_changed 'k3s is stopped and masked on this host by a quorum reset that has not ended'
ends=$(($(date +%s) + 60))
until between_starts; do
    systemctl -q is-active k3s.service && precondition_changed 'k3s runs here by now'
    [ "$(date +%s)" -lt "$ends" ] || precondition_changed 'k3s has been starting for a minute'
    sleep 0.2
done
read_config
[ -z "$config_server$config_database" ] || precondition_changed 'this host is to join a cluster or a database, not to begin one'
for saved in "$k3s_data"/server/db/snapshots/*; do
    [ ! -e "$saved" ] || precondition_changed 'snapshots lie on this host, so a cluster has lived here'
done
[ -n "$(birth_cut_off)" ] || precondition_changed 'k3s did not end here because its first start was cut off'
systemctl stop k3s.service || fail 'systemd did not stop k3s'
[ -n "$(birth_cut_off)" ] || precondition_changed 'k3s started once more and ended for another reason'
mv "$k3s_data/server/db" "$k3s_data/server/db-cut-off-$(date +%s)" || fail 'could not put the log aside'
sync "$k3s_data/server"
mkdir -p "$our_run" && printf '%s\n' 'K3S_CLUSTER_INIT=true' >"$our_run/birth" || fail 'could not lay the permit'
said=$(systemctl -q enable k3s.service 2>&1 && systemctl start --no-block k3s.service 2>&1) || fail "systemd: $said"
done_with '{}'
