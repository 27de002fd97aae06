# write_config <config.yaml: the whole configuration; what a restore had put beside it is no part of it, nor what 2.x had
# put into the units' environment: token and URL there would be stronger than the file.
forget_environment || fail "could not take the token out of the units' environment"
rm -f "$agentless" || fail "could not remove $agentless"
write_atomically 0600 "$k3s_config" || fail "could not write $k3s_config"
done_with '{}'
