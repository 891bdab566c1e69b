"""`make stack-test`: a whole stack from nothing to nothing, under load, with what goes wrong.

Build, up, train and register into PostgreSQL and S3, promote, 50,000 records with bad ones; under
that flow from one container of the stream to three, one killed, another version promoted, the
broker restarted, and back to one; a backup, the whole stack removed with its data, and restored.
At the end each record has exactly one answer, by the right version; and nothing is left. The last
line gives the sums. KEEP=1 leaves the stack running.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from app.backup.cluster import Cluster
from infrastructure.processes import InfrastructureError
from infrastructure.stack.backup import SECRETS, backup
from infrastructure.stack.containers import engine
from infrastructure.stack.restore import require_new, restore, take_secrets, verify
from tests.e2e.test_with_mlflow import MODEL
from tests.harness.world import World, until
from tests.stack.stack import ROOT, Stack, crash, existing

RECORDS, SHARE, RATE, BAD = 50_000, 5_000, 500, 0.02
IMAGE = "localhost/ds-models:stack-test"
FOLDER = ROOT / ".local" / "stack-test"
COPY = FOLDER / "backup"
CONSOLE = Console(highlight=False, soft_wrap=True)


class StackWorld(World):
    """The stack's topics, whose names are the product's own."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        super().__init__(stack.bootstrap_servers, folder)
        self.environment = {**stack.client, "DS_MODELS_CONFIG": str(ROOT / "config")}

    def wait_for_what_is_there(self, timeout_s: float) -> None:
        """Wait until all records of this moment are answered, in each partition."""
        places = [(self.settings.topics.records, number) for number in range(self.partitions)]
        ends = Cluster(self.client).ends(places)

        def answered() -> bool:
            committed = self.committed()
            return all(committed.get(number, 0) >= end for (_, number), end in ends.items())

        until(answered, timeout_s, "the answers to all that was there")


class Flow:
    """`produce` again and again beside us, until told that it is enough, but 50,000 at least."""

    def __init__(self, stack: Stack) -> None:
        self.sent: Counter[str] = Counter()
        self._stack = stack
        self._enough = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait(self) -> Counter[str]:
        """Return how many were sent in all, `good` and `bad`."""
        self._enough.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self.sent

    def _run(self) -> None:
        options = ("--count", str(SHARE), "--rate", str(RATE), "--bad", str(BAD))
        try:
            while not self._enough.is_set() or self.sent.total() < RECORDS:
                seed = str(self.sent.total())
                made = self._stack.app("produce", *options, "--seed", seed)
                self.sent += Counter(good=made["good"], bad=sum(made["bad"].values()))
        except AssertionError as error:
            self._failure = error


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done, and how long it took."""
    began = time.monotonic()
    CONSOLE.print(f"{what} …", style="bold")
    yield
    CONSOLE.print(f"  [green]done[/] in {time.monotonic() - began:.0f} s")


def train(stack: Stack, kind: str) -> str:
    """Train and register a version outside the stack, as a data scientist does."""
    pickle = str(FOLDER / f"{kind}.pkl")
    options = ("--kind", kind, "--months", "500", "--output", pickle)
    made = stack.app(*options, "--no-alias", "--no-announce",
                     script="models/train_and_register_model.py")  # fmt: skip
    return str(made["version"])


def promote(stack: Stack, version: str) -> None:
    stack.app("promote", MODEL, version, "--wait")


def send(stack: Stack, seed: int) -> int:
    """Send 1,000 good records; return how many."""
    return int(stack.app("produce", "--count", "1000", "--seed", str(seed))["good"])


def live(stack: Stack) -> set[str]:
    """Return the instances of the stream that answer records."""
    return {one["instance"] for one in stack.status()["instances"] if one["live"] and one["lag"]}


def goes_live(stack: Stack) -> tuple[str, str]:
    """Start with one container of the stream; return two versions, of which the first is live."""
    with step("build the image"):
        subprocess.run(["make", "--silent", "image", f"IMAGE={IMAGE}"], cwd=ROOT, check=True,  # noqa: S607
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    with step("start the stack"):
        stack.up(1)
        until(stack.is_set_up, 120, "bucket, topics and webhook")
    with step("train and register two versions"):
        first, second = train(stack, "linear"), train(stack, "forest")
        kept = stack.query("select count(*) from model_versions")
        files = engine("exec", stack.container("s3"), "find", "/data/models", "-type", "f").split()
        assert int(kept) == 2, kept
        assert len(files) > 4, files
        CONSOLE.print(f"  2 versions in PostgreSQL, {len(files)} files in S3")
    with step(f"promote version {first}"):
        promote(stack, first)
    return first, second


def under_flow(stack: Stack, second: str) -> Counter[str]:
    """Scale, kill, promote and restart while records come; all are answered, so many were sent."""
    world, flow = StackWorld(stack, FOLDER), Flow(stack)
    with step("one container of the stream becomes three, under flow"):
        stack.up(3)
        until(lambda: len(live(stack)) == 3, 300, "three instances")
    with step("one of them is killed"):
        before = live(stack)
        crash(stack.containers("stream")[1])

        def replaced() -> bool:
            now = live(stack)
            return len(now) == 3 and now != before

        until(replaced, 300, "the engine to start it anew")
    with step(f"promote version {second}"):
        promote(stack, second)
    with step("the broker restarts"):
        engine("restart", stack.container("kafka"))
        until(lambda: stack.is_healthy("kafka"), 120, "the broker")
        world.wait_for_what_is_there(300)
        until(lambda: len(live(stack)) == 3, 300, "three instances after the restart")
    with step("three become one"):
        stack.up(1)
        until(lambda: len(live(stack)) == 1, 300, "one instance")
    with step("the rest is sent and answered"):
        sent = flow.wait()
        world.wait_for_answers(sent.total(), 300)
    return sent


def made_again(stack: Stack, first: str) -> Counter[str]:
    """Back up, remove it all, restore, promote; return how many records were sent."""
    sent = Counter[str]()
    with step("more records come, and the stack is backed up while it answers them"):
        sent["good"] += send(stack, 1)
        shutil.rmtree(COPY, ignore_errors=True)
        assert backup(stack, stack.file, COPY) == 0
    with step("it is removed with its data, and restored"):
        with pytest.raises(InfrastructureError, match="a stack already"):
            require_new(stack)
        stack.down()
        assert stack.leftovers() == []
        stack.file.unlink()
        verify(COPY)
        require_new(stack)
        take_secrets(COPY / SECRETS, stack.file)
        restore(stack, COPY)
    with step(f"promote version {first} again, which comes from the restored store"):
        promote(stack, first)
        sent["good"] += send(stack, 2)
    return sent


def run(stack: Stack) -> str:
    """Do it all; return the line with the sums."""
    first, second = goes_live(stack)
    sent = under_flow(stack, second) + made_again(stack, first)
    with step("each record has one answer"):
        world = StackWorld(stack, FOLDER)
        world.wait_for_answers(sent.total(), 300)
        found = world.assert_each_answered_once(model=MODEL)
    versions = Counter(signal.model_version for _, signal in found.signals)
    assert set(versions) == {first, second}, versions
    assert len(found.signals) == sent["good"], (len(found.signals), sent)
    assert len(found.letters) == sent["bad"], (len(found.letters), sent)
    by_version = ", ".join(f"{count:,} by version {name}" for name, count in versions.items())
    return (
        f"{sent.total():,} records = {len(found.signals):,} signals ({by_version}) + "
        f"{len(found.letters):,} dead letters; none missing, none twice"
    )


def main() -> int:
    """Run it; tidy up whatever happens."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    FOLDER.mkdir(parents=True, exist_ok=True)
    stack = Stack(FOLDER, IMAGE)
    with step("bring what the S3 store is built from"):
        subprocess.run([sys.executable, "-m", "infrastructure.stack.environment", "--no-secrets"],
                       cwd=ROOT, check=True)  # fmt: skip
    stack.down()  # of a run that was cut off
    assert stack.leftovers() == [], f"remove these first: {stack.leftovers()}"
    volumes = set[str]()
    try:
        sums = run(stack)
        volumes = stack.mounted()
    except (AssertionError, InfrastructureError) as error:
        CONSOLE.print(f"[red]failed[/]: {error}", markup=True)
        CONSOLE.print(stack.last_words())
        return 1
    finally:
        if "KEEP" not in os.environ:
            stack.down()
    if "KEEP" not in os.environ:
        assert len(volumes) >= 3, volumes
        left = [*stack.leftovers(), *(volumes & existing())]
        assert left == [], left
        CONSOLE.print("nothing is left: no container, no network, no volume")
    CONSOLE.print(sums, style="bold green")
    return 0


if __name__ == "__main__":
    sys.exit(main())
