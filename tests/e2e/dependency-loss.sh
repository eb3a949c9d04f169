#!/usr/bin/env bash
# Without die-service a roll is 503 with the reason; with it again all recovers without a restart

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
before=$(restarts frontend dice-roller)
k scale deployment/die-service --replicas=0 >/dev/null
k wait --for=delete pod -l app.kubernetes.io/component=die-service --timeout=60s >/dev/null
refused() { answers 503 '/roll?die=fair' && grep -q '"type"' "$E2E_WORK/answer"; }
until_true 30 'a roll without die-service is 503' refused
show "503 $(member type)"
k scale deployment/die-service --replicas=1 >/dev/null
from=$SECONDS
wait_rolled_out deployment/die-service
until_true 60 'the dice roll again' rolls
after=$(restarts frontend dice-roller)
[[ $after == "$before" ]] || broken "containers restarted: $before, then $after"
show "rolled again $((SECONDS - from)) s after it was asked back"
