"""The hot swap: versions are fetched, verified, loaded and warmed aside, then used.

One thread does the work; the stream only asks `get`. A version that can't be loaded is tried again
for as long as somebody wants it. Loaded versions are few: the one least recently wanted goes, with
its folder, unless it was wanted just now.
"""

import hashlib
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from app.domain.digest import artifact_digest
from app.domain.errors import ModelError, ModelRefused, ModelUnavailable, PolicyRefused
from app.domain.plans import Announcement
from app.domain.scoring import Predict
from app.telemetry.metrics import HoldReason

log = structlog.get_logger()
_FORGOTTEN_AFTER_S = 10.0  # what nobody has wanted for so long is not tried again, and may go


class ModelSource(Protocol):
    """Where trained models come from."""

    def fetch(self, uri: str, into: Path) -> Path:
        """Copy the artifact into the empty folder `into`; return the folder with its files.

        Raises:
            ModelUnavailable: The registry or the artifact is out of reach.
            PolicyRefused: It must not be loaded.
        """

    def load(self, folder: Path) -> Predict:
        """Load the artifact in `folder` and predict its input example once.

        Raises:
            ModelRefused: It can't be loaded, or must not be.
        """


@dataclass(slots=True)
class _Version:
    announcement: Announcement
    first_wanted_at: float
    wanted_at: float
    predict: Predict | None = None
    folder: Path | None = None
    failure: str | None = None
    refused_by_policy: bool = False
    attempts: int = 0
    retry_at: float = 0.0


class HotSwap:
    """Loaded model versions, by the digest of what was announced.

    Args:
        source: Where models come from.
        folder: Ours alone, emptied at start; each version has a folder in it.
        keep: How many versions stay loaded. More do while all of them are wanted: a batch that
            needs more would otherwise never have all at once.
        retry_max_s: The longest pause between two tries; the first is a thirtieth of it.
        on_load: Called from the loader's thread after a version was loaded.
        on_drop: Called from the loader's thread after a version was dropped.
        on_try: Told how many seconds a try to load took, and whether it did.
        on_swap: Told how many seconds passed from first wanting a version to having it.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        source: ModelSource,
        folder: Path,
        *,
        keep: int = 4,
        retry_max_s: float = 30.0,
        on_load: Callable[[], None] = lambda: None,
        on_drop: Callable[[], None] = lambda: None,
        on_try: Callable[[float, bool], None] = lambda _seconds, _loaded: None,
        on_swap: Callable[[float], None] = lambda _seconds: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._folder = folder
        self._keep = keep
        self._retry_max_s = retry_max_s
        self._on_load = on_load
        self._on_drop = on_drop
        self._on_try = on_try
        self._on_swap = on_swap
        self._clock = clock
        self._versions: dict[str, _Version] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="hot-swap", daemon=True)

    def start(self) -> None:
        """Begin to load what is wanted. Returns at once."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._thread.start()

    def want(self, announcement: Announcement) -> None:
        """Have this version loaded, and keep it. Returns at once; call again while it matters."""
        with self._changed:
            now = self._clock()
            version = self._versions.setdefault(
                _key(announcement), _Version(announcement, now, now)
            )
            version.wanted_at = now
            if version.predict is None:
                self._changed.notify_all()

    def get(self, announcement: Announcement) -> Predict | None:
        """Return the loaded version; None, and want it, if it is not loaded yet. Never blocks."""
        with self._changed:
            self.want(announcement)
            return self._versions[_key(announcement)].predict

    def why_not(self, announcement: Announcement) -> str:
        """Say why a version is not loaded, for a person."""
        version = self._versions.get(_key(announcement))
        name = f"{announcement.model_name} version {announcement.model_version}"
        if version is None or version.failure is None:
            return f"{name} is being loaded"
        return f"{name} can't be loaded: {version.failure}"

    def reason_why_not(self, announcement: Announcement) -> HoldReason:
        """Say the same for programs."""
        version = self._versions.get(_key(announcement))
        refused = version is not None and version.refused_by_policy
        return "refused_by_policy" if refused else "model_not_loaded"

    def wait_for(self, announcement: Announcement, timeout_s: float) -> bool:
        """Block until this version is loaded or was tried once; True if it is loaded."""
        with self._changed:
            self.want(announcement)
            version = self._versions[_key(announcement)]
            self._changed.wait_for(
                lambda: version.predict is not None or version.failure is not None, timeout_s
            )
            return version.predict is not None

    def loaded(self) -> list[Announcement]:
        """Return what is loaded now."""
        with self._changed:
            return [v.announcement for v in self._versions.values() if v.predict is not None]

    def check(self) -> None:
        """Return if versions can still be loaded.

        Raises:
            ModelError: The thread that loads them has ended, whatever the cause.
        """
        if not self._thread.is_alive() and not self._closed:
            raise ModelError("the thread that loads model versions has ended")

    def close(self) -> None:
        """Stop loading and delete the folder. A load that is under way is not waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (version := self._next()) is None:
                    self._changed.wait(self._until_retry())
                if self._closed:
                    break
                assert version is not None  # noqa: S101 - the loop above ended
            self._try(version)
            self._drop_surplus()
        # A load that was under way when it was closed has written files since.
        shutil.rmtree(self._folder, ignore_errors=True)

    def _next(self) -> _Version | None:
        """The version to load now: the one wanted last first. The caller holds the lock."""
        now = self._clock()
        due = [v for v in self._versions.values() if v.retry_at <= now and _is_pending(v, now)]
        return max(due, key=lambda v: v.wanted_at, default=None)

    def _until_retry(self) -> float | None:
        now = self._clock()
        pending = [v.retry_at for v in self._versions.values() if _is_pending(v, now)]
        return max(0.05, min(pending) - now) if pending else None

    def _try(self, version: _Version) -> None:
        announced = version.announcement
        # Named by a hash: a version is any text, and two plans may announce the same files.
        folder = (
            self._folder
            / hashlib.sha256(_key(announced).encode("utf-8", "backslashreplace")).hexdigest()[:16]
        )
        bound = log.bind(model=announced.model_name, version=announced.model_version)
        started = self._clock()
        try:
            predict, path = self._load(announced, folder)
        except ModelError as error:
            shutil.rmtree(folder, ignore_errors=True)
            with self._changed:
                if self._closed:  # under its feet; nobody wants to read of that
                    return
                version.attempts += 1
                version.failure = str(error)
                version.refused_by_policy = isinstance(error, PolicyRefused)
                pause = min(self._retry_max_s, self._retry_max_s / 30 * 2 ** (version.attempts - 1))
                version.retry_at = self._clock() + pause
                self._changed.notify_all()
            self._on_try(self._clock() - started, False)
            bound.error(
                "model.not_loaded",
                error=type(error).__name__,
                why=str(error),
                attempt=version.attempts,
                retry_in_s=round(pause, 1),
            )
            return
        with self._changed:
            if self._closed:
                return
            version.predict, version.folder, version.failure = predict, path, None
            version.attempts = 0
            self._changed.notify_all()
        loaded_at = self._clock()
        bound.info("model.loaded", seconds=round(loaded_at - started, 3))
        self._on_load()
        self._on_try(loaded_at - started, True)
        self._on_swap(loaded_at - version.first_wanted_at)

    def _load(self, announced: Announcement, folder: Path) -> tuple[Predict, Path]:
        """Fetch, verify and load.

        Raises:
            ModelError: It did not work; whatever was the cause.
        """
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            path = self._source.fetch(announced.model_uri, folder)
            digest = artifact_digest(path)
            if digest != announced.digest:
                raise ModelRefused(f"its files have {digest}, announced was {announced.digest}")
            return self._source.load(path), folder
        except ModelError:
            raise
        except OSError as error:
            raise ModelUnavailable(f"{type(error).__name__}: {error}") from error
        except BaseException as error:  # `sys.exit`, or a Rust panic, would end the thread unseen
            raise ModelRefused(f"{type(error).__name__}: {error}") from error

    def _drop_surplus(self) -> None:
        with self._changed:
            by_use = sorted(self._versions.items(), key=lambda item: item[1].wanted_at)
            now = self._clock()
            forgotten = [(k, v) for k, v in by_use if now - v.wanted_at > _FORGOTTEN_AFTER_S]
            over = sum(v.predict is not None for _, v in by_use) - self._keep
            surplus = [(k, v) for k, v in forgotten if v.predict is not None][: max(0, over)]
            for key, _ in [*surplus, *((k, v) for k, v in forgotten if v.failure)]:
                del self._versions[key]
        for _, version in surplus:
            if version.folder is not None:
                shutil.rmtree(version.folder, ignore_errors=True)
            log.info("model.dropped", version=version.announcement.model_version)
            self._on_drop()


def _is_pending(version: _Version, now: float) -> bool:
    """Say whether it is still to be loaded: at least once, and again while it is wanted."""
    wanted = now - version.wanted_at < _FORGOTTEN_AFTER_S
    return version.predict is None and (version.attempts == 0 or wanted)


def _key(announcement: Announcement) -> str:
    return f"{announcement.model_uri} {announcement.digest}"
