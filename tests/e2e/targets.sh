#!/usr/bin/env bash
# The operator's Prometheus scrapes every target and evaluates the rules

# shellcheck source=tests/e2e/lib.sh
source "$(dirname "$0")/lib.sh"
prometheus=$(url prometheus-operated 9090 "$observability")
shows ask targets "$prometheus" "$namespace" frontend dice-roller die-service postgres-exporter alloy
shows ask rules "$prometheus"
