"""`python -m app` whose downloads never end, in threads of a pool, as a store's client has them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app import cli
from app.bootstrap import parts
from app.domain.scoring import Predict


class HangingModels:
    """A `ModelSource` that waits for a thread which waits for ever."""

    def fetch(self, _uri: str, _into: Path) -> Path:
        with ThreadPoolExecutor() as pool:
            pool.submit(threading.Event().wait).result()
        raise AssertionError

    def load(self, _folder: Path) -> Predict:
        raise AssertionError


if __name__ == "__main__":
    parts.models = lambda _settings: HangingModels()  # type: ignore[assignment, return-value]
    cli.main()
