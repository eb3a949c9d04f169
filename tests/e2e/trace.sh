#!/usr/bin/env bash
# One roll is one trace from frontend to SQL, and its log lines are found by its id

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
rolls || broken "the frontend answers $(answer)"
shows ask trace "$(url tempo 3200 "$observability")" "$(url loki 3100 "$observability")" "$(member trace_id)"
