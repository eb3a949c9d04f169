#!/usr/bin/env bash
# The documented queries of Prometheus, Loki and Tempo return data

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"

# Holds the table for so long that a query waits, or fails at die-service's time limit for statements.
lock_table_for() {
  k exec postgres-0 --container postgres -- psql -U postgres -d dicedb -qAtc \
    "BEGIN; LOCK TABLE die_specifications; SELECT 'locked'; SELECT pg_sleep($1)" >"$E2E_WORK/lock" &
  until_true 10 'the table is locked' table_is_locked
}
table_is_locked() {
  [[ $(sql "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted
            AND relation = 'die_specifications'::regclass") == 1 ]]
}

for die in fair risky risky risky; do answers 200 "/roll?die=$die" || answers 500 "/roll?die=$die"; done
answers 200 /dice
lock_table_for 1.7
answers 200 '/roll?die=risky' || answers 500 '/roll?die=risky' || broken 'a slow query should still be answered'
wait
lock_table_for 4
answers 503 '/roll?die=fair' || broken "a query over the time limit should be 503: $(cat "$E2E_WORK/answer")"
wait
shows ask queries promql "$(url prometheus-operated 9090 "$observability")" "$here/queries/promql.txt"
shows ask queries logql "$(url loki 3100 "$observability")" "$here/queries/logql.txt"
shows ask queries tempo "$(url tempo 3200 "$observability")" "$here/queries/tempo.txt"
