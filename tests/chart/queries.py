"""Holds the chart's alerts and dashboards against the telemetry contract.

Usage: queries.py PROMTOOL WORK_FOLDER

1. Every metric and label that a PromQL expression names is in tests/contract/telemetry.json, or among the few that come
   from PostgreSQL's exporter and from Prometheus itself; every label and field of a LogQL or TraceQL query is known too.
2. promtool evaluates every panel's query over series made from the contract: each must give something.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/dicebox"

# What a target has through the ServiceMonitor, without what admin.enabled changes: instance and endpoint name the port,
# and service the Service that has it.
TARGET_LABELS = {"namespace", "job", "pod", "container"}
# postgres_exporter's, as far as the documents promise them, and Prometheus's own.
FOREIGN = {
    "up": set(),
    "pg_up": set(),
    "pg_stat_database_numbackends": {"datname"},
    "pg_stat_database_xact_commit": {"datname"},
    "pg_stat_database_xact_rollback": {"datname"},
    "pg_stat_activity_count": {"datname", "state"},
    "pg_database_size_bytes": {"datname"},
}
# What Alloy puts on a log line.
LOG_LABELS = {"namespace", "pod", "container_name", "service_name", "level", "trace_id", "span_id"}
RESOURCE_ATTRIBUTES = {"service.name", "k8s.namespace.name", "k8s.pod.name", "k8s.node.name", "k8s.deployment.name"}
VARIABLES = {"$namespace": "dicebox", "$__rate_interval": "1m", "$__range": "5m", "$__auto": "1m"}
# One value for each label that the contract leaves open.
EXAMPLES = {"status": ["200", "500", "503"], "route": ["/roll"], "datname": ["dicedb"], "face": ["1", "6"]}
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "inf"}

problems = []


def contract_metrics():
    """The labels of each name that can be asked for, and the series that there are of it."""
    labels, series = dict(FOREIGN), []
    for name, own in FOREIGN.items():
        series += series_of(name, own, {}, ["postgres-exporter"], "5+1x30")
    for metric in json.loads((ROOT / "tests/contract/telemetry.json").read_text())["metrics"]:
        name, own, values = metric["name"], set(metric["labels"]), metric.get("values", {})
        if metric["type"] == "histogram":
            labels |= {name + "_bucket": own | {"le"}, name + "_sum": own, name + "_count": own}
            for bound in ("0.1", "1", "+Inf"):
                series += series_of(name + "_bucket", own | {"le"}, values | {"le": [bound]}, metric["services"], "0+60x30")
            for part in ("_sum", "_count"):
                series += series_of(name + part, own, values, metric["services"], "0+60x30")
        else:
            labels[name] = own
            growth = "0+60x30" if metric["type"] == "counter" else "8x30"
            series += series_of(name, own, values, metric["services"], growth)
    return labels, series


def series_of(name, own, values, services, numbers):
    combinations = [{}]
    for label in sorted(own):
        choices = values.get(label) or EXAMPLES.get(label, ["some"])
        combinations = [found | {label: choice} for found in combinations for choice in choices]
    for service in services:
        target = {"namespace": "dicebox", "job": service, "pod": f"{service}-0", "instance": "10.0.0.1:80"}
        for own_labels in combinations:
            pairs = ",".join(f'{key}="{value}"' for key, value in (target | own_labels).items())
            yield {"series": f"{name}{{{pairs}}}", "values": numbers}


def check_promql(where, expression, labels):
    rest, asked = expression, set()
    for name, matchers in re.findall(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}", expression):
        named = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        asked.add(name)
        for label in named - labels.get(name, named) - TARGET_LABELS:
            problems.append(f"{where}: {name} has no label {label}")
    rest = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^\]]*\]", " ", rest)
    grouped = set()
    for group in re.findall(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)", rest):
        grouped |= {label.strip() for label in group.split(",") if label.strip()}
    rest = re.sub(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)", " ", rest)
    asked |= {name for name in re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", rest) if name not in WORDS}
    if not asked:
        problems.append(f"{where}: asks for no metric")
    for name in sorted(asked - labels.keys()):
        problems.append(f"{where}: no metric is called {name}")
    known = set().union(TARGET_LABELS, *(labels.get(name, set()) for name in asked))
    for label in sorted(grouped - known):
        problems.append(f"{where}: groups by {label}, which none of its metrics has")


def check_logql(where, expression, fields):
    for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression) + re.findall(r"by\s*\((\w+)\)", expression):
        if label not in LOG_LABELS | fields:
            problems.append(f"{where}: log lines have no {label}")


def check_traceql(where, expression, attributes):
    for name in re.findall(r"resource\.([\w.]+)", expression):
        if name not in RESOURCE_ATTRIBUTES:
            problems.append(f"{where}: no resource has {name}")
    for name in re.findall(r"span\.([\w.]+)", expression):
        if name not in attributes:
            problems.append(f"{where}: no span has {name}")


def alerts():
    """Name and expression of each alert, without a YAML parser: the file is laid out as ours are."""
    text = (CHART / "files/alerts.yaml").read_text()
    found = re.findall(r"^      - alert: (\w+)\n        expr: (?:\|\n((?: {10}.*\n)+)|(.+)\n)", text, re.M)
    if len(found) != text.count("- alert:"):
        sys.exit("alerts.yaml is not laid out as this program reads it")
    return [(name, block or line) for name, block, line in found]


def panels():
    for path in sorted((CHART / "files/dashboards").glob("*.json")):
        dashboard = json.loads(path.read_text())
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                expression = target.get("expr") or target["query"]
                for variable, value in VARIABLES.items():
                    expression = expression.replace(variable, value)
                yield f"{path.name}: {panel['title']}", target["datasource"]["type"], expression


def main():
    promtool, work = sys.argv[1], pathlib.Path(sys.argv[2])
    contract = json.loads((ROOT / "tests/contract/telemetry.json").read_text())
    labels, series = contract_metrics()
    fields = {field for event in contract["logs"] for field in event["fields"] + event.get("optional", [])}
    attributes = {name for span in contract["spans"] for name in span.get("attributes", []) + span.get("optional", [])}
    for name, expression in alerts():
        check_promql(name, expression, labels)
    questions = []
    for where, source, expression in panels():
        if source == "prometheus":
            check_promql(where, expression, labels)
            questions.append({"expr": f"count({expression}) > bool 0", "eval_time": "10m",
                              "exp_samples": [{"labels": "{}", "value": 1}]})
        elif source == "loki":
            check_logql(where, expression, fields)
        else:
            check_traceql(where, expression, attributes)
    # JSON is YAML.
    test = work / "panels_test.yaml"
    test.write_text(json.dumps({"tests": [{"interval": "20s", "input_series": series, "promql_expr_test": questions}]}))
    run = subprocess.run([promtool, "test", "rules", test], capture_output=True, text=True)
    if run.returncode != 0:
        problems.append(run.stdout + run.stderr)
    print("\n".join(problems) or f"{len(alerts())} alerts and {len(questions)} panel queries held against the contract")
    return bool(problems)


sys.exit(main())
