"""The JSON that commands print: each document names its schema and version, docs/programs.md describes them."""

import json
from collections.abc import Mapping
from typing import Any


def document(command: str, content: Mapping[str, Any], version: int = 1) -> str:
    """Write content with its schema before it: `regbench.info/1`.

    The version rises when a key is removed or changes its meaning; keys may be added at any time.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps({"schema": f"regbench.{command}/{version}", **content}, indent=1, allow_nan=False) + "\n"
