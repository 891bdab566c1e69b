"""`python -m app`, killed (SIGKILL) right after a call: `KILL_AFTER=module:Class.method:call`.

With `LEASE_MS` its idempotency keys can be taken over after so long.
"""

import importlib
import os
import signal
from typing import Any

from app import cli


def main() -> None:
    module, name, call = os.environ["KILL_AFTER"].split(":")
    owner: Any = importlib.import_module(module)
    *path, method = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    original, calls = getattr(owner, method), [0]

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        calls[0] += 1
        if calls[0] == int(call):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, method, wrapped)
    if lease := os.environ.get("LEASE_MS"):
        keys: Any = importlib.import_module("app.service.idempotency").IdempotencyKeys
        keys.__init__.__kwdefaults__["lease_ms"] = int(lease)
    cli.main()


if __name__ == "__main__":
    main()
