"""The JSON Schema of summaries, for whoever reads them with other programs."""

from __future__ import annotations

import msgspec

from launcher.report.model import SCHEMA, Summary


def summary_schema() -> dict[str, object]:
    """JSON Schema (2020-12) of ``report/summary.json``."""
    schema = msgspec.json.schema(Summary)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Summary of a run of a Cicada swarm, schema {SCHEMA}",
        **schema,
    }


def schema_text() -> str:
    """As it is published, with a line end."""
    return msgspec.json.format(msgspec.json.encode(summary_schema())).decode() + "\n"
