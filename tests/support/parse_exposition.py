"""Reads a page of metrics with the parser of Prometheus' own Python client, which rejects what Prometheus would
reject, and prints it as one JSON object a family.

usage: parse_exposition.py text|openmetrics FILE
"""

import json
import math
import sys

try:
    from prometheus_client import parser
    from prometheus_client.openmetrics import parser as openmetrics_parser
except ImportError:
    sys.exit("The Python package prometheus_client is missing: run `pip install prometheus-client`.")


def describe(sample):
    # JSON has no number for what is not finite.
    value = sample.value if math.isfinite(sample.value) else str(sample.value)
    described = {"name": sample.name, "labels": sample.labels, "value": value}
    if sample.exemplar:
        described["exemplar"] = {
            "labels": sample.exemplar.labels,
            "value": sample.exemplar.value,
            "timestamp": float(sample.exemplar.timestamp),
        }
    return described


chosen = {"text": parser, "openmetrics": openmetrics_parser}[sys.argv[1]]
with open(sys.argv[2], encoding="utf-8") as page:
    families = list(chosen.text_string_to_metric_families(page.read()))
for family in families:
    print(
        json.dumps(
            {
                "name": family.name,
                "type": family.type,
                "unit": family.unit,
                "help": family.documentation,
                "samples": [describe(sample) for sample in family.samples],
            }
        )
    )
