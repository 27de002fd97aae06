# read_journal UNIT LINES
done_with "{\"base64\":\"$(journalctl -q -u "$1" -n "$2" -o short-iso --no-pager | base64 -w 0)\"}"
