"""`make stack-up`: start the stack, replace what runs an older image, and say where it answers."""

from __future__ import annotations

import os
import sys

from infrastructure.processes import InfrastructureError
from infrastructure.stack import answers
from infrastructure.stack.containers import Stack


def main() -> int:
    """Start as many containers of the stream as `STREAMS` says."""
    stack, streams = Stack(), os.environ.get("STREAMS") or "0"
    if not streams.isdecimal():
        print(f"STREAMS={streams} is no number: make stack-up STREAMS=3", file=sys.stderr)
        return 2
    try:
        stack.up(int(streams) or None)
    except InfrastructureError as error:
        print(error, file=sys.stderr)
        return 1
    return answers.say(stack.values)


if __name__ == "__main__":
    sys.exit(main())
