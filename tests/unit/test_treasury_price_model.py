import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import skops.io

from app.domain.errors import ModelError, ModelRefused, ModelUnavailable
from app.domain.records import FEATURES
from app.registry.trusted_types import TRUSTED_TYPES
from app.tools.producing.series import sample
from models import register_model_in_mlflow, train_and_pickle_model
from models.treasury_price_model import Evaluation, Kind, TreasuryPriceModel, table_of

ROOT = Path(__file__).parents[2]
KINDS = get_args(Kind)


@pytest.fixture(scope="module")
def trained() -> dict[Kind, TreasuryPriceModel]:
    return {kind: train_and_pickle_model.train(kind, months=5_000, seed=0) for kind in KINDS}


def metrics(model: TreasuryPriceModel) -> dict[str, float]:
    assert model.evaluation is not None
    return model.evaluation.metrics


def test_a_forest_clearly_beats_a_linear_model(trained: dict[Kind, TreasuryPriceModel]) -> None:
    assert metrics(trained["forest"])["rmse"] <= 0.6 * metrics(trained["linear"])["rmse"]


def test_a_linear_model_is_sensible(trained: dict[Kind, TreasuryPriceModel]) -> None:
    assert metrics(trained["linear"])["r2"] > 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_built_for_exactly_the_columns_of_a_record(
    kind: Kind, trained: dict[Kind, TreasuryPriceModel]
) -> None:
    assert tuple(trained[kind].estimator.feature_names_in_) == FEATURES


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_predicts_with_one_thread(
    kind: Kind, trained: dict[Kind, TreasuryPriceModel]
) -> None:
    assert trained[kind].estimator.n_jobs is None


def test_a_forest_has_a_hundred_trees_of_depth_eight(
    trained: dict[Kind, TreasuryPriceModel],
) -> None:
    parameters = trained["forest"].estimator.get_params()
    assert (parameters["n_estimators"], parameters["max_depth"]) == (100, 8)


def test_the_last_fifth_is_held_out(trained: dict[Kind, TreasuryPriceModel]) -> None:
    model = trained["linear"]
    assert model.evaluation is not None
    assert (model.rows, len(model.evaluation.actual)) == (4_000, 1_000)


def test_the_same_seed_gives_the_same_forest() -> None:
    rows = table_of(sample(50, seed=9)[0])
    one, other = (train_and_pickle_model.train("forest", 200, 3) for _ in range(2))
    assert np.array_equal(one.predict(rows), other.predict(rows))


def test_columns_are_taken_by_name(trained: dict[Kind, TreasuryPriceModel]) -> None:
    rows = table_of(sample(50, seed=9)[0])
    shuffled = rows[[*reversed(FEATURES)]].assign(more=1.0)
    for model in trained.values():
        assert np.array_equal(model.predict(rows), model.predict(shuffled))


def test_a_table_without_a_column_is_refused(trained: dict[Kind, TreasuryPriceModel]) -> None:
    with pytest.raises(ValueError, match="no column interest_rate"):
        trained["linear"].predict(table_of(np.ones((1, 4))).drop(columns="interest_rate"))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no kind 'oracle'"):
        TreasuryPriceModel("oracle")  # type: ignore[arg-type]  # what a caller may get wrong


def test_metrics_are_what_they_are_called() -> None:
    actual, predicted = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 6.0])
    found = Evaluation(np.ones((3, 4)), actual, predicted).metrics
    assert found == pytest.approx({"rmse": 3**0.5, "mae": 1.0, "r2": 1 - 3 / (2 / 3)})


def test_fitting_again_forgets_the_former_evaluation() -> None:
    model = train_and_pickle_model.train("linear", 200, 0)
    features, prices = sample(60, seed=1)
    model.fit(table_of(features), prices)
    assert (model.evaluation, model.rows) == (None, 60)


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_of_a_model_needs_only_types_that_we_trust(
    kind: Kind, trained: dict[Kind, TreasuryPriceModel]
) -> None:
    needed = skops.io.get_untrusted_types(data=skops.io.dumps(trained[kind].estimator))
    assert set(needed) <= set(TRUSTED_TYPES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_predicts_the_same_after_pickling(
    kind: Kind, trained: dict[Kind, TreasuryPriceModel], tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "model.pkl"
    train_and_pickle_model.save(trained[kind], path)
    loaded = register_model_in_mlflow.load(path)
    rows = table_of(sample(50, seed=9)[0])
    assert np.array_equal(loaded.predict(rows), trained[kind].predict(rows))
    assert metrics(loaded) == metrics(trained[kind])


def test_the_script_leaves_a_pickle_that_loads_by_the_path_of_its_module(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    script = ROOT / "models" / "train_and_pickle_model.py"
    options = ["--kind", "linear", "--months", "60", "--output", str(path), "--json"]
    run = subprocess.run(
        [sys.executable, str(script), *options], cwd=ROOT, capture_output=True, check=True
    )
    assert json.loads(run.stdout)["pickle"] == str(path)
    assert type(register_model_in_mlflow.load(path)) is TreasuryPriceModel


def test_a_pickle_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="train_and_pickle_model"):
        register_model_in_mlflow.load(tmp_path / "none.pkl")


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"not": "a model"})])
def test_a_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(ModelRefused):
        register_model_in_mlflow.load(path)


def test_a_model_that_was_not_evaluated_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    train_and_pickle_model.save(TreasuryPriceModel("linear"), path)
    with pytest.raises(ModelRefused, match="train it again"):
        register_model_in_mlflow.load(path)


def test_a_file_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match="can't be saved"):
        train_and_pickle_model.save(TreasuryPriceModel("linear"), tmp_path / "file" / "model.pkl")


@pytest.mark.parametrize(
    "script",
    ["train_and_pickle_model", "register_model_in_mlflow", "train_and_register_model"],
)
def test_asking_a_script_for_help_imports_nothing_slow(script: str) -> None:
    slow = "{'mlflow', 'sklearn', 'pandas', 'matplotlib', 'confluent_kafka'}"
    ask = f"import sys; import models.{script}; print({slow} & set(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"


def test_a_registry_that_is_away_ends_the_script_with_one_line_and_exit_code_7(
    trained: dict[Kind, TreasuryPriceModel], tmp_path: Path
) -> None:
    path = tmp_path / "model.pkl"
    train_and_pickle_model.save(trained["linear"], path)
    script = ROOT / "models" / "register_model_in_mlflow.py"
    run = subprocess.run(
        [sys.executable, str(script), "--pickle", str(path)],
        cwd=ROOT,
        env={**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 7
    assert len(run.stderr.splitlines()) == 1
    assert "MLflow does not answer at http://127.0.0.1:1" in run.stderr
