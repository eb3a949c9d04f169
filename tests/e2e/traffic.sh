#!/usr/bin/env bash
# Ten users by k6 find every roll answered

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
start_job traffic
finish_job traffic 360
show "$(figure traffic http_reqs), $(figure traffic http_req_duration | grep -oE 'p\(95\)=[^ ]+')"
