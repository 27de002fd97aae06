# launch ID NAME FENCE BYTES SCRIPT UNIT_SCRIPT [ARGUMENT...] <stdin of BYTES bytes: runs a mutating operation as the one transient unit of this host.
# The unit outlives this connection. What it needs lies in files, not in arguments: a transient unit can be read by all.
id=$1 name=$2 fence=$3 bytes=$4 script=$5 unit_script=$6
shift 6
work=$our_run/ops/$id
outcome=$our_state/ops/$id.json

mkdir -p "$work" "$our_state/ops" || fail 'could not make the working directory'
cat >"$work/stdin"
if [ "$(wc -c <"$work/stdin")" -ne "$bytes" ]; then
    rm -rf "$work"
    refuse 6 never_ran 'the connection was cut before all of the input had arrived'
fi
printf '%s\n' "$script" >"$work/script"
printf '%s\n' "$unit_script" >"$work/unit"

said=$(systemd-run --quiet --wait --collect --unit=hetzner-k3s-op --description="hetzner-k3s $name" \
    /bin/sh "$work/unit" "$id" "$name" "$fence" "$@" 2>&1)
if [ -e "$outcome" ]; then
    cat "$outcome"
    exit 0
fi
if [ -e "$work/begun" ]; then
    rm -rf "$work"
    fail "$name ended without a result: $said"
fi
rm -rf "$work"
case $said in
    *already*) refuse 5 busy "another operation runs on this host: $(cat "$our_state/ops/last" 2>/dev/null)" ;;
esac
fail "systemd-run: $said"
