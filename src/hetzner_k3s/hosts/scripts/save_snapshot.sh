# save_snapshot NAME: k3s names the file NAME-<node>-<UNIX seconds>; its warnings about flags on stderr are harmless.
directory=$k3s_data/server/db/snapshots
touch "$our_run/before-snapshot"
ends=$(($(date +%s) + 60))
# A k3s that has just started says that it is not ready yet; that passes.
until said=$(timeout 100 /usr/local/bin/k3s etcd-snapshot save --name "$1" 2>&1); do
    # docs/facts/k3s.md#commands-after-a-rotation: the command reads server/token, and the running k3s takes the one
    # from before.
    case $said in *': not authorized'*) fail 'k3s runs with another token than server/token holds, as after `k3s token rotate`: restart k3s here, or save it through another master' ;; esac
    case $said in *'(re)initializing'* | *'not ready'*) ;; *) ends=0 ;; esac
    [ "$(date +%s)" -lt "$ends" ] || fail "k3s did not save the snapshot: $(printf %s "$said" | tail -n 1)"
    sleep 0.5
done

for file in "$directory/$1"-*; do
    [ -s "$file" ] && [ ! "$file" -ot "$our_run/before-snapshot" ] && newest=$file
done
[ -n "${newest:-}" ] || fail "k3s reported success, but $directory holds no new snapshot of that name that is not empty"
done_with "$(stat -c '{"name":"'"${newest##*/}"'","size":%s,"created":%Y}' "$newest")"
