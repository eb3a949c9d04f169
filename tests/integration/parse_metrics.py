"""Parses a metrics page with prometheus_client: parse_metrics.py text|openmetrics <file>. Exit 1: it objects."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

parse = {"text": text, "openmetrics": openmetrics}[sys.argv[1]]
with open(sys.argv[2], encoding="utf-8") as page:
    families = list(parse(page.read()))
names = [family.name for family in families]
if not names:
    sys.exit("no metrics")
if len(names) != len(set(names)):
    sys.exit("a family appears twice")
if any(family.type == "unknown" or not family.documentation for family in families):
    sys.exit("a family without type or help")
