"""Writes kubeconform's schemas, strict, from what an API server says about itself, custom resources included.

Usage: kubectl get --raw /openapi/v2 | schemas.py FOLDER
       kubeconform -strict -schema-location 'FOLDER/{{.ResourceKind}}{{.KindSuffix}}.json' …

Strict means that a property which the server does not know is an error, where the server would drop it.
"""

import json
import pathlib
import re
import sys

# What the server reads in more than one form, and its document describes in one.
FORMS = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
}


def strict(node):
    if isinstance(node, list):
        return [strict(member) for member in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    made = {key: strict(value) for key, value in node.items() if key not in ("description", "format")}
    open_ended = node.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in node
    if isinstance(node.get("properties"), dict) and not open_ended:
        made["additionalProperties"] = False
    return made


def needed(node, definitions, found):
    """Adds to `found` every definition that a node refers to, by whatever way."""
    for name in set(re.findall(r'"#/definitions/([^"]+)"', json.dumps(node))) - found.keys():
        found[name] = definitions[name]
        needed(definitions[name], definitions, found)
    return found


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    source = json.load(sys.stdin)["definitions"]
    definitions = {name: strict(node) for name, node in source.items()} | FORMS
    kinds = 0
    for name, node in source.items():
        for kind in node.get("x-kubernetes-group-version-kind", []):
            parts = [kind["kind"].lower(), kind["group"].split(".")[0], kind["version"]]
            # kubeconform follows references inside a file alone.
            schema = definitions[name] | {"definitions": needed(definitions[name], definitions, {})}
            (folder / ("-".join(filter(None, parts)) + ".json")).write_text(json.dumps(schema))
            kinds += 1
    if kinds == 0:
        sys.exit("the document names no kind")
    print(f"{kinds} kinds")


main()
