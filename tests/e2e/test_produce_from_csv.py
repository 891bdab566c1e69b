"""`produce --from-csv` on the real broker: real history through the stream, and what stops it."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.topics import reading
from models.register_model_in_mlflow import load
from models.treasury_price_model import table_of
from tests.harness.instances import ROOT, Instance
from tests.harness.terminal import app, app_json
from tests.harness.world import World, until

MODEL = "treasury-price-model"
HISTORY = ROOT / "tests" / "data" / "us-2019-2023.csv"
COLUMNS = (
    "DEBT_GROWTH",
    "FEDFUNDS",
    "CPI_12M_CHANGE",
    "PRICE_BEFORE",
)
"""In the order of the features."""
MAPPED = (
    *("--column", "observation_date=month"),
    *("--column", "DEBT_GROWTH=treasury_print_volume"),
    *("--column", "FEDFUNDS=interest_rate"),
    *("--column", "CPI_12M_CHANGE=inflation_rate"),
    *("--column", "PRICE_BEFORE=previous_month_price"),
)


def history() -> list[dict[str, str]]:
    with HISTORY.open(newline="") as opened:
        return list(csv.DictReader(opened))


def train(world: World, pickle: Path) -> None:
    script = "models/train_and_register_model.py"
    options = ("--kind", "linear", "--months", "500", "--output", str(pickle))
    subprocess.run(
        [sys.executable, script, *options],
        env={**os.environ, **world.environment, "PYTHONWARNINGS": "ignore"},
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=True,
    )


def sent(world: World) -> list[bytes | None]:
    return [m.value for m in reading.read(world.client, world.settings.topics.records)]


def test_real_history_gets_the_signals_that_the_model_gives_by_itself(
    world: World, tracking_uri: str, tmp_path: Path
) -> None:
    world.environment |= {"MLFLOW_TRACKING_URI": tracking_uri, "DS_MODELS_MODEL__NAME": MODEL}
    train(world, tmp_path / "model.pkl")
    with Instance(world.environment, tmp_path / "a.log", "app", ("run",)) as instance:
        instance.wait_for_event("model.loaded")
        code, (summary,) = app_json(
            world.environment, "produce", "--from-csv", str(HISTORY), *MAPPED
        )
        assert code == 0
        assert (summary["records"], summary["good"], summary["bad"]) == (60, 60, {})
        world.wait_for_answers(60)
        assert instance.stop() == 0
    found = world.assert_each_answered_once(model=MODEL)
    assert (len(found.signals), len(found.letters)) == (60, 0)
    signals = [signal for _, signal in found.signals]  # of one key, so in the order of the rows
    rows = history()
    assert [signal.month for signal in signals] == [row["observation_date"][:7] for row in rows]
    assert set(found.keys.values()) == {b"us-2019-2023"}
    table = np.array([[float(row[column]) for column in COLUMNS] for row in rows])
    expected = load(tmp_path / "model.pkl").predict(table_of(table)).tolist()
    assert all(map(math.isclose, (s.predicted_price for s in signals), expected))
    assert len({round(price, 6) for price in expected}) > 50


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    """The history with a cell that is no number in its line 31."""
    lines = HISTORY.read_text().splitlines()
    cells = lines[30].split(",")
    cells[1] = "n/a"
    lines[30] = ",".join(cells)
    file = tmp_path / "torn.csv"
    file.write_text("\n".join(lines))
    return file


def test_a_bad_cell_is_named_and_nothing_is_sent(world: World, torn: Path) -> None:
    done = app(world.environment, "produce", "--from-csv", str(torn), *MAPPED)
    assert done.returncode == 2
    assert "line 31, column 'FEDFUNDS': expected a number" in done.stderr
    assert "'n/a'" in done.stderr
    assert sent(world) == []


def test_bad_rows_are_sent_all_the_same_if_it_is_said(world: World, torn: Path) -> None:
    options = ("--from-csv", str(torn), *MAPPED, "--send-bad-rows")
    code, (summary,) = app_json(world.environment, "produce", *options)
    assert code == 0
    assert (summary["good"], summary["bad"]) == (59, {"wrong_type": 1})
    rows = app_json(world.environment, "inspect", world.settings.topics.records)[1]
    assert [n for n, row in enumerate(rows) if "rejected" in row] == [29]


def test_a_count_and_a_rate_are_kept_and_the_bar_counts_the_rows(world: World) -> None:
    options = ("--from-csv", str(HISTORY), *MAPPED, "--rate", "500")
    done = app(world.environment, "produce", *options, "--count", "24")
    assert done.returncode == 0
    assert "24/24" in done.stderr
    assert "24 records in" in done.stdout
    assert len(sent(world)) == 24
    done = app(world.environment, "produce", "--from-csv", str(HISTORY), *MAPPED)
    assert re.search(r"60/60 [1-9][0-9,]*/s", done.stderr)


def test_a_missing_column_is_named_with_what_there_is(world: World) -> None:
    done = app(world.environment, "produce", "--from-csv", str(HISTORY))
    assert done.returncode == 2
    assert "has no column 'treasury_print_volume'" in done.stderr
    assert "'observation_date', 'FEDFUNDS'" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from-csv", str(HISTORY), "--drift", "1"), "not for --from-csv"),
        (("--from-csv", str(HISTORY), "--series", "8"), "not for --from-csv"),
        (("--column", "a=month"), "are for --from-csv"),
        (("--send-bad-rows",), "are for --from-csv"),
        (("--bad-kind", "not_json"), "--bad how many"),
        (("--bad", "0.1", "--bad-kind", "model_raised"), "is none of empty, too_large"),
        (("--drift", "nan"), "should be less than"),
        (("--seasonality", "nan"), "should be less than"),
        (("--rate", "inf"), "should be less than"),
        (("--rate", "1e308"), "should be less than"),
        (("--series", "100000"), "should be less than"),
        (("--bad", "nan"), "should be less than"),
    ],
)
def test_options_without_sense_are_refused_before_a_broker_is_asked(
    options: tuple[str, ...], said: str
) -> None:
    nowhere = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    done = app(nowhere, "produce", "--count", "1", *options, COLUMNS="200")
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_bad_records_are_of_the_kinds_that_were_chosen(world: World) -> None:
    kinds = ("--bad-kind", "missing_field", "--bad-kind", "not_json")
    options = ("--count", "2000", "--bad", "0.2", *kinds, "--drift", "1", "--seasonality", "1")
    code, (summary,) = app_json(world.environment, "produce", *options)
    assert code == 0
    assert summary["bad"].keys() == {"missing_field", "not_json"}
    assert summary["good"] + sum(summary["bad"].values()) == 2000


def test_what_becomes_of_a_record_is_said_by_the_ranges_of_the_settings(world: World) -> None:
    world.environment["DS_MODELS_RECORDS__RANGES"] = '{"interest_rate": [4, 1e307]}'
    _, (summary,) = app_json(world.environment, "produce", "--count", "200")
    assert summary["good"] > 0
    assert summary["bad"].keys() == {"out_of_range"}
    rows = app_json(world.environment, "inspect", world.settings.topics.records)[1]
    assert sum("rejected" in row for row in rows) == summary["bad"]["out_of_range"]


def test_without_a_count_it_goes_on_until_it_is_stopped_and_counts_all_the_same(
    world: World,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "app", "produce", "--rate", "200", "--json"],
        env={**os.environ, **world.environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        try:
            until(lambda: len(sent(world)) > 20)
            running.send_signal(signal.SIGINT)
            output, _ = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 0
    assert json.loads(output)["records"] == len(sent(world))
