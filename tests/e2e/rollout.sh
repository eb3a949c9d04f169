#!/usr/bin/env bash
# A rolling update of each service loses no request

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
for service in "${services[@]}"; do
  start_job rollout
  k rollout restart "deployment/$service" >/dev/null
  wait_rolled_out "deployment/$service"
  ! job_ended k6-rollout || broken "k6 had ended before $service was rolled out: this proves nothing"
  finish_job rollout 60
  show "$service: $(figure rollout http_req_failed)"
done
