"""Reads the metrics of a hub with Prometheus' own parser, and prints each sample as a line of JSON.

What the parser takes twice, or without saying what it is, is an error. `promtool` holds the names to Prometheus' guide.
"""

import json
import os
import sys
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

request = urllib.request.Request(sys.argv[1] + "/metrics")
request.add_header("Authorization", "Bearer " + os.environ["NEXUS_KEY"])
with urllib.request.urlopen(request) as answer:
    media_type = answer.headers["Content-Type"]
    text = answer.read().decode()
assert media_type == "text/plain; version=0.0.4; charset=utf-8", media_type

seen = set()
for family in text_string_to_metric_families(text):
    assert family.documentation, family.name
    assert family.type in ("counter", "gauge", "histogram"), (family.name, family.type)
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        assert key not in seen, key
        seen.add(key)
        print(json.dumps([sample.name, sample.labels, sample.value]))
