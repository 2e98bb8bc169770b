"""``cicada schema``: what an editor needs to complete and check configurations."""

from __future__ import annotations

from launcher import output


def schema() -> None:
    """Print the JSON Schema of configurations, for completion and checks in an editor.

    \b
      cicada schema > cicada.schema.json

    Then write `#:schema ./cicada.schema.json` as the first line of a configuration: Taplo and what builds on it read that.
    """
    from cicada.config import Config
    from cicada.config.schema import json_schema

    output.show_json(json_schema(Config, "Cicada swarm"))
