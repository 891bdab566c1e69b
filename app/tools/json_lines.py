"""A row as a line of JSON, for programs."""

import json
from collections.abc import Mapping
from typing import Any

import orjson


def encode(fields: Mapping[str, Any]) -> bytes:
    """Return the fields as one JSON object, without the newline.

    What others wrote on a topic may have whole numbers of any length.

    >>> encode({"a": 1}), encode({"a": 2**70})
    (b'{"a":1}', b'{"a":1180591620717411303424}')
    """
    try:
        return orjson.dumps(fields)
    except TypeError:  # a number of more than 64 bits; the other encoder is far slower
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
