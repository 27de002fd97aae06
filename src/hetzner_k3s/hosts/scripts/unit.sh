# unit ID NAME FENCE [ARGUMENT...]: what the transient unit runs. Only one is alive at a time, so the fence is safe here.
id=$1 name=$2 fence=$3
shift 3
work=$our_run/ops/$id

conclude() {
    sync "$work/stdout" && mv -f "$work/stdout" "$our_state/ops/$id.json"
    rm -rf "$work"
    find "$our_state/ops" -name '*.json' -mtime +7 -delete
    exit 0
}

touch "$work/begun"
greatest=$(cat "$our_state/fence" 2>/dev/null)
if [ "$fence" -lt "${greatest:-0}" ]; then
    (refuse 4 fenced "a newer run (lock ${greatest}) works on this cluster; ours is $fence") >"$work/stdout"
    conclude
fi
# A fence that is not on the disk would let an older run in later, so nothing is done without it.
[ "$fence" = "${greatest:-}" ] || printf '%s\n' "$fence" | write_atomically 0600 "$our_state/fence" || {
    (refuse 6 never_ran "could not write the number of the operator lock to $our_state/fence") >"$work/stdout"
    conclude
}
printf '{"id":"%s","name":"%s","fence":%s}\n' "$id" "$name" "$fence" | write_atomically 0600 "$our_state/ops/last"
/bin/sh "$work/script" "$@" <"$work/stdin" >"$work/stdout"
[ -s "$work/stdout" ] || (fail "$name gave no result") >"$work/stdout"
conclude
