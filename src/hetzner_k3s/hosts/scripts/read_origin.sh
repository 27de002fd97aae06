# read_origin: how k3s was installed on a host that this tool did not make; no secret leaves it
# (docs/facts/k3s.md#made-by-2x).
bare=false configured=false runs=false
grep -qs '^K3S_TOKEN=' "$server_environment" && ! grep -Eqs "^K3S_TOKEN=['\"]?K10" "$server_environment" && bare=true
[ ! -s "$k3s_config" ] || configured=true
systemctl -q is-active k3s.service && runs=true
done_with "{\"flag\":\"$(unit_flag)\",\"bare_token\":$bare,\"configured\":$configured,\"runs\":$runs}"
