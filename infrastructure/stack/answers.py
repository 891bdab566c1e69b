"""Where the stack of an `.env` answers, and since when."""

from __future__ import annotations

import sys
import time
import urllib.request
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from infrastructure.processes import LOOPBACK
from infrastructure.stack.environment import DEFAULTS, FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

PATIENCE_S = 300.0


def values(file: Path) -> dict[str, str]:
    """Return what stands in an `.env`, and compose.yaml's defaults where nothing stands."""
    return DEFAULTS | {name: value or "" for name, value in dotenv_values(file).items()}


def addresses(given: Mapping[str, str]) -> dict[str, str]:
    """Return where each service that has a page is reached."""
    return {
        "MLflow": f"http://{LOOPBACK}:{given['MLFLOW_PORT']}",
        "registry": f"http://{LOOPBACK}:{given['REGISTRY_PORT']}",
    }


def wait(
    given: Mapping[str, str],
    names: Iterable[str] = ("MLflow", "registry"),
    patience_s: float = PATIENCE_S,
) -> list[str]:
    """Wait until all of them are ready; return the names of those that are not in time."""
    paths = {"MLflow": "/health", "registry": "/readyz"}
    known = addresses(given)
    waiting = {name: known[name] + paths[name] for name in names}
    deadline = time.monotonic() + patience_s
    while waiting and time.monotonic() < deadline:
        waiting = {name: address for name, address in waiting.items() if not _answers(address)}
        time.sleep(0.5 if waiting else 0)
    return sorted(waiting)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)  # noqa: PLR2004
    except OSError:
        return False


def say(given: Mapping[str, str]) -> int:
    """Wait for all of them, and print where they are; return 1 if one is not ready in time."""
    print("waiting for the stack, a minute or so …", flush=True)
    if late := wait(given):
        print(f"no answer of {' and '.join(late)} yet: look at their logs", file=sys.stderr)
        return 1
    for name, address in addresses(given).items():
        print(f"{name:<9} {address}")
    print(f"Kafka     {LOOPBACK}:{given['KAFKA_PORT']}")
    print(f"MLflow's login is in {FILE}; what is next: docs/stack.md")
    return 0
