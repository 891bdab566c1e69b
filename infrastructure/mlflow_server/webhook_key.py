"""The key that MLflow encrypts the secrets of its webhooks with: without one it forgets them."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BYTES = 32  # of a Fernet key


def kept_key(folder: Path) -> str:
    """Return the key in a folder; make it first if there is none. Its owner alone can read it."""
    file = folder / "webhook.key"
    if not file.exists():
        made = base64.urlsafe_b64encode(os.urandom(_BYTES))
        begun = folder / f"webhook.key.{os.getpid()}"
        descriptor = os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(made)
        begun.replace(file)  # a start that is killed in between leaves no half of a key
    return file.read_text()
