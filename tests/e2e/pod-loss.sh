#!/usr/bin/env bash
# A deleted pod of each service is replaced, and the dice roll again

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
for service in "${services[@]}"; do
  old=$(k get pods -l "app.kubernetes.io/component=$service" -o name)
  k delete "$old" --wait=false >/dev/null
  k wait --for=delete "$old" --timeout=60s >/dev/null
  wait_rolled_out "deployment/$service"
  until_true 30 "a roll after $service lost its pod" rolls
done
show "${#services[@]} pods replaced"
