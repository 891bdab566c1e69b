"""`make bench` in small: it runs, and its table comes out. How fast anything is, is not asked."""

import re

from tests.e2e.test_with_mlflow import run

SHORT = ("--records", "20000", "--rounds", "1", "--model", "linear", "--guarantee", "exactly-once")


def test_a_short_benchmark_has_each_record_answered_once_and_prints_its_table(
    bootstrap_servers: str,
) -> None:
    done = run(
        {"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, "COLUMNS": "120"},
        *("-m", "tests.benchmarks.stream_against_loop", *SHORT),
        timeout_s=240,
    )
    # It reads all answers, and ends with 1 unless each contestant answered each record once,
    # and both with the same prices.
    assert done.returncode == 0, done.stderr
    assert "20,000 records" in done.stdout
    shown = [re.sub(r" +", " ", line).strip() for line in done.stdout.splitlines()]
    rows = [line for line in shown if line.startswith(("linear", "loop", "stream"))]
    number, ratio = r"[\d,]+", r"\d+\.\d\d"
    wanted = [
        "linear, exactly-once",
        f"loop {number} {number}",
        f"stream {number} {number}",
        f"stream / loop {ratio} {ratio} {ratio} to {ratio}",
    ]
    assert len(rows) == len(wanted), done.stdout
    for row, pattern in zip(rows, wanted, strict=True):
        assert re.fullmatch(pattern, row), row
