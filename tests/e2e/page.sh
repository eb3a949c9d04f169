#!/usr/bin/env bash
# The page, by kubectl port-forward in Chromium, rolls dice and shows the spans and log lines that Tempo and Loki have

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/lib/browser.sh
source "$root/ci/lib/browser.sh"
"$root/ci/install" browser
choose_port
start port-forward "$E2E_WORK/port-forward.log" kubectl --namespace "$namespace" port-forward svc/frontend "$port:8111"
wait_until_ready "$!" "http://127.0.0.1:$port/readyz" 30
quietly "$E2E_WORK/npm.log" install_browser_driver
cd "$root/tests/ui"
DICEBOX_CHROMIUM=/usr/bin/chromium DICEBOX_URL=http://127.0.0.1:$port run_and_wait node --test --test-reporter=spec \
  --test-name-pattern='the list of dice|one roll shows|many rolls show|a roll is shown as the spans' \
  rolling.test.js trace.test.js >"$E2E_WORK/page.log" 2>&1 ||
  { cat "$E2E_WORK/page.log"; broken 'the page does not do what it should'; }
passed=$(sed -nE 's/^[^a-z]*pass ([0-9]+)$/\1/p' "$E2E_WORK/page.log")
[[ $passed == 4 ]] || broken "4 browser tests should have run, and $passed did"
show "$passed browser tests"
