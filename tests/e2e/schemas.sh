#!/usr/bin/env bash
# Every render of the chart fits the schemas that this API server gives of its own objects

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
"$root/ci/chart" --cluster || broken 'ci/chart --cluster fails'
show "$(grep -E '^Summary: |^skipped kubeconform' "$E2E_WORK/schemas.txt")"
