# write_config <config.yaml: the whole configuration; what a restore had put beside it is no part of it.
rm -f "$agentless" || fail "could not remove $agentless"
write_atomically 0600 "$k3s_config" || fail "could not write $k3s_config"
done_with '{}'
