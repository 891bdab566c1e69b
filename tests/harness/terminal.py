"""Our commands, typed as a person or a program types them; `--json` is held to its schema."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs" / "schemas"


def app(
    environment: Mapping[str, str], *arguments: str, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m app …` to its end; a traceback is a failure whatever the test is about."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        env={**os.environ, **environment, "PYTHONWARNINGS": "ignore", **changes},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def app_json(
    environment: Mapping[str, str], *arguments: str, **changes: str
) -> tuple[int, list[dict[str, Any]]]:
    """Run it with `--json`; return its exit code, and its rows once they follow their schema."""
    done = app(environment, *arguments, "--json", **changes)
    assert done.stdout or not done.stderr, done.stderr
    rows: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    validator = Draft202012Validator(schema(*arguments))
    for row in rows:
        validator.validate(row)
    return done.returncode, rows


def schema(*command: str) -> dict[str, Any]:
    """Return the documented schema of a row of a command."""
    found: dict[str, Any] = json.loads(schema_file(*command).read_text())
    return found


def schema_file(*command: str) -> Path:
    """Return where that stands: of `topics check`, in `topics.json`."""
    names = ["-".join(command[:words]) for words in (2, 1)]
    return next(path for name in names if (path := SCHEMAS / f"{name}.json").exists())
