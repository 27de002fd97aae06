# read_stored_uid: whose cluster's data a held host has, by the kube-system UID in etcd's file; null where it has none.
is_held || precondition_changed 'k3s is not stopped and masked on this host, so its data may still change'
database=$k3s_data/server/db/etcd/member/snap/db
[ -s "$database" ] || done_with null
done_with "$(json_or_null "$(uid_in "$database")")"
