#!/usr/bin/env bash
# A deleted PostgreSQL pod comes back with its data, and die-service finds it without a restart

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
die=kept-$RANDOM
before=$(restarts "${services[@]}")
sql "INSERT INTO die_specifications VALUES ('$die', '{7}', 0, NULL)"
answers 200 "/roll?die=$die" || broken "the new die does not roll: $(answer)"
k delete pod postgres-0 >/dev/null
from=$SECONDS
wait_rolled_out statefulset/postgres
until_true 60 'the die that was there before rolls again' answers 200 "/roll?die=$die"
[[ $(member result) == 7 ]] || broken "the die changed: $(answer)"
after=$(restarts "${services[@]}")
[[ $after == "$before" ]] || broken "containers restarted: $before, then $after"
sql "DELETE FROM die_specifications WHERE identifier = '$die'"
show "back after $((SECONDS - from)) s, no restart"
