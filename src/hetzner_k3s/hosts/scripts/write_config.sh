# write_config <config.yaml
write_atomically 0600 "$k3s_config" || fail "could not write $k3s_config"
done_with '{}'
