#!/usr/bin/env bash
# helm test proves the telemetry of this release

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
helm test dicebox --namespace "$namespace" --timeout 180s
tests_run() {
  helm status dicebox --namespace "$namespace" --output json | python3 -c 'import json, sys
hooks = [hook for hook in json.load(sys.stdin)["hooks"] if "test" in hook["events"] and hook["kind"] == "Pod"]
assert hooks, "the chart has no test"
print(", ".join(hook["name"] + " " + hook["last_run"]["phase"] for hook in hooks))'
}
shows tests_run
