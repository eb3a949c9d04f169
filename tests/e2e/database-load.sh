#!/usr/bin/env bash
# 50 queries a second for 30 s by k6 are answered in time

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
start_job database-load
finish_job database-load 90
show "$(figure database-load http_reqs), $(figure database-load http_req_duration | grep -oE 'p\(9[59]\)=[^ ]+' | xargs)"
