#!/usr/bin/env bash
# The footprint is within its bars

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
figures=$(python3 "$here/footprint.py" "$namespace" "$E2E_IMAGES/dicebox.tar" "$(<"$E2E_WORK/ready")") || { say "$figures"; broken 'a bar is missed'; }
say "$figures"
show "$(tail -n 3 <<<"$figures" | sed 's/ (.*//')"
