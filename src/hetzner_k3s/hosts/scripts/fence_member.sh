# fence_member CA: moves what makes this held host a member aside, in one rename; nothing is deleted.
# The mark goes last: until then the host says that it is held, and the move is begun again.
expected_ca=$1
aside=$k3s_data/server-fenced-$(date +%s)

is_held || precondition_changed 'k3s is not stopped and masked on this host'
k3s_is_down || precondition_changed 'k3s runs on this host'
if [ -e "$k3s_data/server" ]; then
    read_server_ca
    [ "${server_ca:-$expected_ca}" = "$expected_ca" ] || precondition_changed "its disk holds CA $server_ca, not $expected_ca"
    mv "$k3s_data/server" "$aside" || fail 'could not move the data aside'
fi
mkdir -p "$aside/agent"
for file in "$k3s_data"/agent/*.crt "$k3s_data"/agent/*.key "$k3s_data"/agent/*.kubeconfig "$our_state/lineage"; do
    [ ! -e "$file" ] || mv "$file" "$aside/agent/" || fail "could not move ${file##*/} aside"
done
sync
rm -f "$held_mark"
done_with '{}'
