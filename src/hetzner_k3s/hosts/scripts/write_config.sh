# write_config <config.yaml: the whole configuration; what a restore had put beside it is no part of it, nor what 2.x had
# put into the units' environment: token and URL there would be stronger than the file.
for environment in "$server_environment" "$agent_environment"; do
    grep -Eqs '^K3S_(TOKEN|URL)=' "$environment" || continue
    grep -Ev '^K3S_(TOKEN|URL)=' "$environment" | write_atomically 0600 "$environment" || fail "could not write $environment"
done
rm -f "$agentless" || fail "could not remove $agentless"
write_atomically 0600 "$k3s_config" || fail "could not write $k3s_config"
done_with '{}'
