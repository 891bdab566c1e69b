"""One contract for every source of models, fake and real; then what MLflow's must refuse."""

import inspect
import json
import os
import pickle
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import yaml

from app.domain.digest import artifact_digest
from app.domain.errors import ModelRefused, ModelUnavailable, PolicyRefused
from app.domain.records import FEATURES
from app.registry.mlflow_models import MlflowModels
from app.registry.policy import Policy
from app.registry.trusted_types import TRUSTED_TYPES
from app.registry.verify import verify
from app.stream.hot_swap import ModelSource
from models.treasury_price_model import TreasuryPriceModel
from tests.harness import models
from tests.harness.models import FolderModels

ROWS = np.random.default_rng(7).uniform(1, 100, (40, len(FEATURES)))
TABLE = pd.DataFrame(ROWS, columns=FEATURES)
PRICES = ROWS @ np.array([0.5, -2.0, 1.0, 3.0]) + 10.0


@dataclass(frozen=True)
class Saved:
    """A source, an artifact of it, and what the model said before it was saved."""

    source: ModelSource
    artifact: Path
    expected: npt.NDArray[np.float64]
    corrupt: Callable[[Path], None]


def estimator(kind: str = "linear", threads: int | None = None) -> Any:
    from sklearn.ensemble import RandomForestRegressor, VotingRegressor  # noqa: PLC0415 - seconds
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    forest = RandomForestRegressor(5, max_depth=3, random_state=0, n_jobs=threads)
    made = {
        "linear": LinearRegression(),
        "forest": forest,
        "pipeline": make_pipeline(StandardScaler(), forest),
        "voting": VotingRegressor([("forest", forest)], n_jobs=threads),
    }[kind]
    return made.fit(TABLE, PRICES)


def signature(columns: Sequence[str] = FEATURES, kind: str = "double") -> Any:
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import ColSpec, Schema  # noqa: PLC0415

    return ModelSignature(
        inputs=Schema([ColSpec(kind, name) for name in columns]),
        outputs=Schema([ColSpec("double")]),
    )


def save_model(folder: Path, model: Any, **changes: Any) -> Path:
    """Save an artifact as the register script logs it, but for the changes."""
    import mlflow.sklearn  # noqa: PLC0415

    options = {
        "serialization_format": "skops",
        "skops_trusted_types": list(TRUSTED_TYPES),
        "signature": signature(),
        "input_example": TABLE[:3],
        "pip_requirements": ["scikit-learn"],
        **changes,
    }
    mlflow.sklearn.save_model(model, folder, **options)
    return folder


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts that no test changes, saved once."""
    folder = tmp_path_factory.mktemp("artifacts")
    for kind in ("linear", "forest"):
        save_model(folder / kind, estimator(kind))
    models.save(folder, "3", weights=(1.0, 2.0, 3.0, 4.0))
    return folder


@pytest.fixture(scope="session")
def source() -> MlflowModels:
    """The real adapter. Nothing here asks a server unless a test says so."""
    return MlflowModels("http://127.0.0.1:1", policy=ANY_URI)


ANY_URI = Policy(uri_schemes=("models", "runs", "file"))


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.fixture(params=["folder", "mlflow_linear", "mlflow_forest"])
def saved(
    request: pytest.FixtureRequest, artifacts: Path, source: MlflowModels, tmp_path: Path
) -> Saved:
    """Each source with an artifact of its own, which the test may change."""
    artifact = tmp_path / "saved" / "artifact"
    if request.param == "folder":
        shutil.copytree(artifacts / "version-3", artifact)
        expected = 3000.0 + ROWS @ [1.0, 2.0, 3.0, 4.0]
        return Saved(FolderModels(), artifact, expected, lambda f: truncate(f / "model.json"))
    kind = request.param.removeprefix("mlflow_")
    shutil.copytree(artifacts / kind, artifact)
    expected = estimator(kind).predict(TABLE)
    return Saved(source, artifact, expected, lambda f: truncate(f / "model.skops"))


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """An empty folder to fetch into."""
    folder = tmp_path / "fetched"
    folder.mkdir()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# --- the contract of every source ---


def test_a_fetch_copies_into_the_folder_and_leaves_the_source_alone(
    saved: Saved, into: Path
) -> None:
    before = contents(saved.artifact)
    fetched = saved.source.fetch(str(saved.artifact), into)
    assert into in (fetched, *fetched.parents)
    assert contents(fetched) == before
    shutil.rmtree(into)
    assert contents(saved.artifact) == before


def test_a_copy_is_no_link_to_its_source(saved: Saved, into: Path) -> None:
    fetched = saved.source.fetch(str(saved.artifact), into)
    before = artifact_digest(fetched)
    for path in [p for p in saved.artifact.rglob("*") if p.is_file()]:
        path.write_bytes(b"changed")
    assert artifact_digest(fetched) == before
    assert not [path for path in fetched.rglob("*") if path.is_symlink()]


def test_a_fetch_of_what_is_absent_is_unavailable(saved: Saved, into: Path) -> None:
    with pytest.raises(ModelUnavailable, match="nowhere"):
        saved.source.fetch(str(saved.artifact.parent / "nowhere"), into)


def test_two_fetches_have_the_same_digest(saved: Saved, into: Path) -> None:
    digests = []
    for name in ("first", "second"):
        (into / name).mkdir()
        digests.append(artifact_digest(saved.source.fetch(str(saved.artifact), into / name)))
    assert digests[0] == digests[1] == artifact_digest(saved.artifact)


def test_loading_and_predicting_change_no_file(saved: Saved, into: Path) -> None:
    fetched = saved.source.fetch(str(saved.artifact), into)
    before = contents(fetched)
    saved.source.load(fetched)(ROWS)
    assert contents(fetched) == before


def test_a_loaded_model_predicts_what_it_predicted_before_it_was_saved(
    saved: Saved, into: Path
) -> None:
    predict = saved.source.load(saved.source.fetch(str(saved.artifact), into))
    prices = np.asarray(predict(ROWS), dtype=float).reshape(-1)
    np.testing.assert_allclose(prices, saved.expected, rtol=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 40])
def test_a_loaded_model_predicts_one_number_per_row(saved: Saved, into: Path, rows: int) -> None:
    predict = saved.source.load(saved.source.fetch(str(saved.artifact), into))
    assert np.asarray(predict(ROWS[:rows]), dtype=float).shape in {(rows,), (rows, 1)}


def test_a_loaded_model_needs_its_files_no_more(saved: Saved, into: Path) -> None:
    predict = saved.source.load(saved.source.fetch(str(saved.artifact), into))
    shutil.rmtree(into)
    np.testing.assert_allclose(np.asarray(predict(ROWS)).reshape(-1), saved.expected)


def test_two_versions_predict_each_as_itself(
    saved: Saved, artifacts: Path, source: MlflowModels, into: Path
) -> None:
    predict = saved.source.load(saved.source.fetch(str(saved.artifact), into))
    other = source.load(artifacts / "linear")
    np.testing.assert_allclose(np.asarray(other(ROWS)).reshape(-1), PRICES)
    np.testing.assert_allclose(np.asarray(predict(ROWS)).reshape(-1), saved.expected)


def test_a_corrupt_artifact_is_refused(saved: Saved, into: Path) -> None:
    saved.corrupt(saved.artifact)
    fetched = saved.source.fetch(str(saved.artifact), into)
    with pytest.raises(ModelRefused):
        saved.source.load(fetched)


# --- MLflow: what must not be loaded ---


@pytest.fixture
def changed(artifacts: Path, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """A copy of a good artifact whose MLmodel file somebody edited."""

    def change(edit: Callable[[dict[str, Any]], None]) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(artifacts / "linear", folder)
        document = yaml.safe_load((folder / "MLmodel").read_text())
        edit(document)
        (folder / "MLmodel").write_text(yaml.safe_dump(document))
        return folder

    return change


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._mark),)


@pytest.mark.parametrize("serialization", ["pickle", "cloudpickle"])
def test_a_pickle_is_refused_unread(
    source: MlflowModels, tmp_path: Path, serialization: str
) -> None:
    folder = save_model(tmp_path / "model", estimator(), serialization_format=serialization)
    (folder / "model.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(ModelRefused, match="skops"):
        source.load(folder)
    assert not (tmp_path / "exploded").exists()


def test_a_model_that_brings_code_is_refused_and_its_code_not_run(
    source: MlflowModels, tmp_path: Path
) -> None:
    code = tmp_path / "mine.py"
    code.write_text("")
    folder = save_model(tmp_path / "model", estimator(), code_paths=[str(code)])
    (folder / "code" / "mine.py").write_text("raise SystemExit")
    with pytest.raises(ModelRefused, match="code_paths"):
        source.load(folder)


def test_types_that_the_artifact_trusts_and_we_do_not_are_refused(
    source: MlflowModels, changed: Callable[..., Path]
) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["flavors"]["sklearn"]["skops_trusted_types"] = ["os.system"]

    with pytest.raises(ModelRefused, match=r"os\.system"):
        source.load(changed(edit))


def test_types_that_nobody_trusts_are_refused(source: MlflowModels, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model", estimator("forest"))
    document = yaml.safe_load((folder / "MLmodel").read_text())
    document["flavors"]["sklearn"]["skops_trusted_types"] = []
    (folder / "MLmodel").write_text(yaml.safe_dump(document))
    with pytest.raises(ModelRefused, match="Tree"):
        source.load(folder)


def test_a_model_that_another_loader_would_unpickle_is_refused_unread(
    source: MlflowModels, changed: Callable[..., Path], tmp_path: Path
) -> None:
    """Its scikit-learn part is a decoy: MLflow loads by what the pyfunc part says."""

    def edit(document: dict[str, Any]) -> None:
        document["flavors"]["python_function"] |= {
            "loader_module": "mlflow.pyfunc.model",
            "python_model": "bomb.pkl",
            "cloudpickle_version": "3.0.0",
        }

    folder = changed(edit)
    (folder / "bomb.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(ModelRefused):
        source.load(folder)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("where", ["outside.skops", "../outside.skops"])
def test_a_model_file_outside_the_artifact_is_refused(
    source: MlflowModels, changed: Callable[..., Path], where: str
) -> None:
    """Its digest would say nothing about it."""

    def edit(document: dict[str, Any]) -> None:
        document["flavors"]["python_function"]["model_path"] = where

    folder = changed(edit)
    shutil.copy(folder / "model.skops", folder.parent / "outside.skops")
    with pytest.raises(ModelRefused):
        source.load(folder)


def test_an_example_outside_the_artifact_is_refused_unread(
    source: MlflowModels, changed: Callable[..., Path], into: Path
) -> None:
    """It could be a device that never ends."""

    def edit(document: dict[str, Any]) -> None:
        document["saved_input_example_info"]["artifact_path"] = "../example.json"

    folder = changed(edit)
    shutil.copy(folder / "input_example.json", folder.parent / "example.json")
    with pytest.raises(PolicyRefused, match=r"\.\./example\.json lies outside"):
        source.load(folder)
    with pytest.raises(PolicyRefused, match=r"\.\./example\.json lies outside"):
        source.fetch(str(folder), into)


@pytest.mark.parametrize("flavor", ["sklearn", "python_function"])
def test_a_model_without_one_of_its_flavors_is_refused(
    source: MlflowModels, changed: Callable[..., Path], flavor: str
) -> None:
    with pytest.raises(ModelRefused):
        source.load(changed(lambda document: document["flavors"].pop(flavor)))


@pytest.mark.parametrize(
    "text", ["", "flavors", "flavors: {}", "flavors: [1]", "[1, 2]", "a: b: c", "\x00"]
)
def test_an_mlmodel_file_that_is_none_is_refused(
    source: MlflowModels, artifacts: Path, tmp_path: Path, text: str
) -> None:
    folder = shutil.copytree(artifacts / "linear", tmp_path / "model")
    (folder / "MLmodel").write_text(text)
    with pytest.raises(ModelRefused):
        source.load(folder)


def test_a_part_of_the_artifact_with_an_mlmodel_file_of_its_own_is_refused_unread(
    source: MlflowModels, changed: Callable[..., Path], tmp_path: Path
) -> None:
    """MLflow would believe the inner one, which says that its model is a pickle."""
    folder = changed(lambda document: document["flavors"]["python_function"].update(data="part"))
    (folder / "part").mkdir()
    document = yaml.safe_load((folder / "MLmodel").read_text())
    document["flavors"]["sklearn"] = {"pickled_model": "m", "serialization_format": "pickle"}
    document["flavors"]["python_function"] |= {"model_path": "m"}
    (folder / "part" / "MLmodel").write_text(yaml.safe_dump(document))
    (folder / "part" / "m").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(PolicyRefused, match="part of the artifact"):
        source.load(folder)
    assert not (tmp_path / "exploded").exists()


# --- MLflow: what the policy decides ---


def allowing(**changes: Any) -> MlflowModels:
    return MlflowModels("http://127.0.0.1:1", policy=replace(ANY_URI, **changes))


def save_pyfunc(folder: Path, model: Any, **changes: Any) -> Path:
    import mlflow.pyfunc  # noqa: PLC0415

    common = {"signature": signature(), "pip_requirements": [], "input_example": TABLE[:3]}
    mlflow.pyfunc.save_model(folder, python_model=model, **{**common, **changes})
    return folder


@pytest.fixture(scope="session")
def pyfunc_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from models.treasury_price_pyfunc import pickled_with_its_code  # noqa: PLC0415

    with pickled_with_its_code(TreasuryPriceModel("linear").fit(TABLE, PRICES)) as model:
        return save_pyfunc(tmp_path_factory.mktemp("pyfunc") / "model", model)


@pytest.mark.parametrize("serialization", ["pickle", "cloudpickle"])
def test_a_pickle_is_loaded_where_the_policy_allows_it(tmp_path: Path, serialization: str) -> None:
    folder = save_model(tmp_path / "model", estimator(), serialization_format=serialization)
    np.testing.assert_allclose(allowing(flavors=["pickle"]).load(folder)(ROWS), PRICES)


def test_a_pyfunc_is_loaded_where_the_policy_allows_it(pyfunc_artifact: Path) -> None:
    np.testing.assert_allclose(allowing(flavors=["pyfunc"]).load(pyfunc_artifact)(ROWS), PRICES)


def test_a_pyfunc_needs_no_module_of_ours(pyfunc_artifact: Path) -> None:
    content = (pyfunc_artifact / "python_model.pkl").read_bytes()
    assert not re.search(rb"models\.treasury_price\w*\x94\x8c", content)


@pytest.mark.parametrize("flavors", [["skops"], ["skops", "pickle"], []])
def test_a_pyfunc_is_refused_unread_where_the_policy_does_not_allow_it(
    pyfunc_artifact: Path, tmp_path: Path, flavors: list[str]
) -> None:
    folder = shutil.copytree(pyfunc_artifact, tmp_path / "model")
    (folder / "python_model.pkl").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(PolicyRefused, match="it is a pyfunc model"):
        allowing(flavors=flavors).load(folder)
    assert not (tmp_path / "exploded").exists()


def test_with_skops_not_allowed_a_skops_model_is_refused(artifacts: Path) -> None:
    with pytest.raises(PolicyRefused, match="it is a skops model"):
        allowing(flavors=["pyfunc"]).load(artifacts / "linear")


@pytest.mark.parametrize("flavors", [["skops", "pickle", "pyfunc"]])
def test_a_loader_that_no_policy_knows_is_refused(
    changed: Callable[..., Path], flavors: list[str]
) -> None:
    folder = changed(
        lambda document: document["flavors"]["python_function"].update(loader_module="os")
    )
    with pytest.raises(PolicyRefused, match=r"os \(loader_module\)"):
        allowing(flavors=flavors, code_paths=True).load(folder)


def test_a_refused_artifact_is_not_even_fetched(pyfunc_artifact: Path, into: Path) -> None:
    with pytest.raises(PolicyRefused, match="pyfunc"):
        allowing().fetch(str(pyfunc_artifact), into)
    assert list(into.iterdir()) == []


def test_an_artifact_that_is_too_large_is_not_fetched(artifacts: Path, into: Path) -> None:
    folder = artifacts / "linear"
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    with pytest.raises(PolicyRefused, match="max_artifact_mb"):
        allowing(max_artifact_bytes=size - 1).fetch(str(folder), into)
    assert list(into.iterdir()) == []
    assert allowing(max_artifact_bytes=size).fetch(str(folder), into).is_dir()


def test_a_store_that_lists_a_folder_in_itself_is_read_once(
    artifacts: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.entities import FileInfo  # noqa: PLC0415
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository  # noqa: PLC0415

    listed: list[str | None] = []

    class Looped(LocalArtifactRepository):
        def list_artifacts(self, path: str | None = None) -> Any:
            listed.append(path)
            assert len(listed) < 20
            itself: Any = FileInfo(path or ".", True, None)
            return [itself, *super().list_artifacts(path)]  # type: ignore[no-untyped-call]

    monkeypatch.setattr(MlflowModels, "_repository", lambda _self, uri: Looped(uri))
    assert allowing().fetch(str(artifacts / "linear"), into).is_dir()


def test_an_address_that_is_none_is_unavailable(into: Path) -> None:
    with pytest.raises(ModelUnavailable, match="Invalid IPv6 URL"):
        allowing().fetch("http://[m", into)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Any]:
    """A model registry without a server."""
    import mlflow  # noqa: PLC0415

    before = mlflow.get_tracking_uri()
    yield mlflow.MlflowClient(f"sqlite:///{tmp_path}/registry")
    mlflow.set_tracking_uri(before)


def test_the_host_is_the_one_where_the_registry_says_that_the_files_are(
    registry: Any, into: Path
) -> None:
    registry.create_registered_model("m")
    registry.create_model_version("m", "https://evil/api/2.0/mlflow-artifacts/artifacts/m")
    source = MlflowModels(registry.tracking_uri, policy=Policy(uri_hosts=["store"]))
    with pytest.raises(PolicyRefused, match="come from the host 'evil'"):
        source.fetch("models:/m/1", into)


def test_what_is_fetched_is_what_the_policy_was_asked_about(
    registry: Any, artifacts: Path, tmp_path: Path, into: Path
) -> None:
    """MLflow itself would fetch part 1 of what the alias `x` of the model `a` points to."""
    source = MlflowModels(registry.tracking_uri, policy=Policy(models=["a@x"]))
    for name, kind in (("a@x", "linear"), ("a", "forest")):
        shutil.copytree(artifacts / kind, tmp_path / kind / "1")
        shutil.copytree(artifacts / kind, tmp_path / kind, dirs_exist_ok=True)
        registry.create_registered_model(name)
        registry.create_model_version(name, str(tmp_path / kind))
    registry.set_registered_model_alias("a", "x", "1")
    fetched = source.fetch("models:/a@x/1", into)
    assert contents(fetched)["MLmodel"] == contents(artifacts / "linear")["MLmodel"]


def test_an_artifact_that_is_larger_than_it_was_said_to_be_is_not_loaded(artifacts: Path) -> None:
    with pytest.raises(PolicyRefused, match="max_artifact_mb"):
        allowing(max_artifact_bytes=100).load(artifacts / "linear")


class WithModule:
    """A pyfunc whose price is what its own module `priced_here` says."""

    def __init__(self, tmp_path: Path) -> None:
        self._folder = tmp_path

    def save(self, name: str, price: float, where: str = "load_context") -> Path:
        source = self._folder / name / "source"
        source.mkdir(parents=True)
        (source / "priced_here.py").write_text(f"PRICE = {price}")
        from mlflow.pyfunc.model import PythonModel  # noqa: PLC0415

        class Priced(PythonModel):
            def load_context(self, context: Any) -> None:
                if where == "load_context":
                    import priced_here  # type: ignore[import-not-found]  # noqa: PLC0415

                    self.price = priced_here.PRICE

            def predict(self, model_input: Any) -> Any:  # type: ignore[override]  # as MLflow documents
                if where == "predict":
                    import priced_here  # noqa: PLC0415

                    self.price = priced_here.PRICE
                return np.full(len(model_input), self.price)

        folder = self._folder / name / "model"
        code = [str(source / "priced_here.py")]
        sys.path.insert(0, str(source))
        try:
            return save_pyfunc(folder, Priced(), code_paths=code)
        finally:
            sys.path.remove(str(source))
            sys.modules.pop("priced_here", None)


def test_two_versions_with_code_of_their_own_run_each_its_own(tmp_path: Path) -> None:
    first, second = (WithModule(tmp_path).save(f"v{price}", price) for price in (1.0, 2.0))
    source, path = allowing(flavors=["pyfunc"], code_paths=True), list(sys.path)
    one, two = source.load(first), source.load(second)
    assert np.asarray(one(ROWS[:2])).tolist() == [1.0, 1.0]
    assert np.asarray(two(ROWS[:2])).tolist() == [2.0, 2.0]
    assert sys.path == path
    assert "priced_here" not in sys.modules


def test_code_is_refused_and_not_run_where_the_policy_does_not_allow_it(tmp_path: Path) -> None:
    folder = WithModule(tmp_path).save("v1", 1.0)
    (folder / "code" / "priced_here.py").write_text("raise SystemExit")
    with pytest.raises(PolicyRefused, match="code_paths"):
        allowing(flavors=["pyfunc"]).load(folder)


def test_a_model_that_is_a_script_is_code_too(pyfunc_artifact: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(pyfunc_artifact, tmp_path / "model")
    document = yaml.safe_load((folder / "MLmodel").read_text())
    document["flavors"]["python_function"]["model_code_path"] = "script.py"
    (folder / "MLmodel").write_text(yaml.safe_dump(document))
    (folder / "script.py").write_text("raise SystemExit")
    with pytest.raises(PolicyRefused, match="code_paths"):
        allowing(flavors=["pyfunc"]).load(folder)


def test_code_that_is_imported_only_when_it_predicts_is_refused(tmp_path: Path) -> None:
    """It would not be found then, or another version's would."""
    folder = WithModule(tmp_path).save("v1", 1.0, where="predict")
    with pytest.raises(ModelRefused, match="priced_here"):
        allowing(flavors=["pyfunc"], code_paths=True).load(folder)


def test_code_that_has_the_name_of_a_loaded_module_is_refused(tmp_path: Path) -> None:
    folder = WithModule(tmp_path).save("v1", 1.0)
    (folder / "code" / "json.py").write_text("")
    with pytest.raises(ModelRefused, match="names that are taken already: json"):
        allowing(flavors=["pyfunc"], code_paths=True).load(folder)


def test_a_model_that_answers_a_batch_with_one_number_is_refused(tmp_path: Path) -> None:
    from mlflow.pyfunc.model import PythonModel  # noqa: PLC0415

    class Mean(PythonModel):
        def predict(self, model_input: Any) -> Any:  # type: ignore[override]  # as MLflow documents
            return model_input.to_numpy().mean(keepdims=True).reshape(1)

    folder = save_pyfunc(tmp_path / "model", Mean())
    with pytest.raises(ModelRefused, match=r"shape \(1,\) for 3 records"):
        allowing(flavors=["pyfunc"]).load(folder)


def test_an_estimator_inside_of_a_pyfunc_predicts_with_one_thread(tmp_path: Path) -> None:
    from models.treasury_price_pyfunc import pickled_with_its_code  # noqa: PLC0415

    ours = TreasuryPriceModel("forest", trees=3).fit(TABLE, PRICES)
    ours.estimator.n_jobs = 2
    with pickled_with_its_code(ours) as model:
        folder = save_pyfunc(tmp_path / "model", model)
    predict = allowing(flavors=["pyfunc"]).load(folder)
    loaded = inspect.getclosurevars(predict).nonlocals["model"]
    assert loaded.unwrap_python_model().model.estimator.n_jobs == 1


# --- in a process of its own ---


class Misbehaves:
    """A pyfunc that runs `python` when it is loaded in another process than this one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, python: str) -> Path:
        from mlflow.pyfunc.model import PythonModel  # noqa: PLC0415

        here = os.getpid()

        class Misbehaving(PythonModel):
            def load_context(self, context: Any) -> None:
                if os.getpid() != here:
                    exec(python)  # noqa: S102 - our own text

            def predict(self, model_input: Any) -> Any:  # type: ignore[override]  # as MLflow documents
                return np.ones(len(model_input))

        return save_pyfunc(self._folder / "model", Misbehaving())


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("raise SystemExit", "ends the process with 0"),
        ("import os; os._exit(0)", "ends the process with 0"),
        ("import os; os.kill(os.getpid(), 9)", "ends the process with -9"),
        ("raise ValueError('the first line\\nand the second')", "the first line and the second"),
        ("input()", "EOFError"),
    ],
    ids=["sys_exit", "exit", "killed", "two_lines", "asks"],
)
def test_a_model_that_does_not_load_in_a_process_of_its_own_is_refused(
    tmp_path: Path, python: str, said: str
) -> None:
    with pytest.raises(ModelRefused, match=said):
        verify(Misbehaves(tmp_path).save(python), Policy(flavors=["pyfunc"]))


def test_a_model_may_print_whatever_bytes_while_it_loads(tmp_path: Path) -> None:
    folder = Misbehaves(tmp_path).save(r"import os; os.write(1, b'\xff')")
    verify(folder, Policy(flavors=["pyfunc"]))


def test_a_model_that_takes_too_long_to_load_is_refused(tmp_path: Path) -> None:
    folder = Misbehaves(tmp_path).save("import time; time.sleep(600)")
    with pytest.raises(ModelRefused, match="longer than 2 s"):
        verify(folder, Policy(flavors=["pyfunc"]), timeout_s=2.0)


def test_a_verification_that_is_stopped_leaves_no_process(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    python = f"open({str(mark)!r}, 'w').write(str(os.getpid())); import time; time.sleep(600)"
    folder = Misbehaves(tmp_path).save(f"import os; {python}")
    with pytest.raises(ModelUnavailable, match="told to stop"):
        verify(folder, Policy(flavors=["pyfunc"]), stopped=lambda: bool(_read(mark)))
    with pytest.raises(ProcessLookupError):
        os.kill(int(_read(mark)), 0)


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


# --- MLflow: what a model needs ---


def test_the_features_are_the_columns_of_the_signature(
    source: MlflowModels, artifacts: Path
) -> None:
    assert source.features(artifacts / "linear") == FEATURES


def test_a_model_that_needs_fewer_features_gets_its_own_columns(
    source: MlflowModels, tmp_path: Path
) -> None:
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    two = [FEATURES[3], FEATURES[1]]
    model = LinearRegression().fit(TABLE[two], PRICES)
    folder = save_model(
        tmp_path / "model", model, signature=signature(two), input_example=TABLE[two][:3]
    )
    assert source.features(folder) == tuple(two)
    np.testing.assert_allclose(source.load(folder)(ROWS), model.predict(TABLE[two]))


def test_a_model_that_needs_an_unknown_feature_is_refused_by_name(
    source: MlflowModels, tmp_path: Path
) -> None:
    table = TABLE.assign(moon_phase=1.0)
    columns = [*FEATURES, "moon_phase"]
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    model = LinearRegression().fit(table, PRICES)
    folder = save_model(
        tmp_path / "model", model, signature=signature(columns), input_example=table[:3]
    )
    for refuse in (source.features, source.load):
        with pytest.raises(ModelRefused, match="moon_phase"):
            refuse(folder)


def test_a_model_without_a_signature_is_refused(
    source: MlflowModels, changed: Callable[..., Path]
) -> None:
    folder = changed(lambda document: document.pop("signature"))
    for refuse in (source.features, source.load):
        with pytest.raises(ModelRefused, match="signature"):
            refuse(folder)


def test_a_model_whose_columns_have_no_names_is_refused(
    source: MlflowModels, changed: Callable[..., Path]
) -> None:
    def edit(document: dict[str, Any]) -> None:
        tensor = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}
        document["signature"]["inputs"] = json.dumps([tensor])

    with pytest.raises(ModelRefused, match="names its columns"):
        source.load(changed(edit))


def test_a_model_without_an_example_is_tried_with_a_row_of_ours(
    source: MlflowModels, tmp_path: Path
) -> None:
    folder = save_model(tmp_path / "model", estimator(), input_example=None)
    np.testing.assert_allclose(source.load(folder)(ROWS), PRICES)


def test_a_model_that_can_predict_its_example_but_no_record_is_refused(
    source: MlflowModels, tmp_path: Path
) -> None:
    """It wants whole numbers: every record would become a dead letter."""
    whole = TABLE.round().astype("int64")
    folder = save_model(
        tmp_path / "model",
        estimator().fit(whole, PRICES),
        signature=signature(kind="long"),
        input_example=whole[:3],
    )
    with pytest.raises(ModelRefused):
        source.load(folder)


def test_a_model_that_returns_no_number_per_row_is_refused(
    source: MlflowModels, tmp_path: Path
) -> None:
    """Every record would become a dead letter."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    labels = np.where(PRICES.mean() < PRICES, "high", "low")
    folder = save_model(tmp_path / "model", LogisticRegression().fit(TABLE, labels))
    with pytest.raises(ModelRefused):
        source.load(folder)


def threads_of(folder: Path, source: MlflowModels, monkeypatch: pytest.MonkeyPatch) -> set[Any]:
    """The `n_jobs` of every forest that predicts, once `source` has loaded it."""
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415

    used: set[Any] = set()
    predict = RandomForestRegressor.predict

    def noting(self: Any, rows: Any) -> Any:
        used.add(self.n_jobs)
        return predict(self, rows)

    loaded = source.load(folder)
    monkeypatch.setattr(RandomForestRegressor, "predict", noting)
    loaded(ROWS)
    return used


@pytest.mark.parametrize("kind", ["forest", "pipeline", "voting"])
def test_a_model_of_several_threads_predicts_with_one(
    source: MlflowModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = save_model(tmp_path / "model", estimator(kind, threads=2))
    assert threads_of(folder, source, monkeypatch) == {1}


# --- MLflow: a server that is away ---


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of ours on which nobody listens."""
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        yield ours.getsockname()[1]


ASK: dict[str, Callable[[MlflowModels, Path], object]] = {
    "version": lambda source, _into: source.version("m", "1"),
    "fetch": lambda source, into: source.fetch("models:/m/1", into),
    "fetch_of_a_run": lambda source, into: source.fetch(f"runs:/{'0' * 32}/model", into),
}


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
def test_a_server_that_is_away_makes_a_model_unavailable_soon(
    closed_port: int, into: Path, ask: Callable[[MlflowModels, Path], object]
) -> None:
    source = MlflowModels(f"http://127.0.0.1:{closed_port}", policy=ANY_URI)
    started = time.monotonic()
    with pytest.raises(ModelUnavailable, match=str(closed_port)):
        ask(source, into)
    assert time.monotonic() - started < 15


def test_a_server_that_accepts_and_never_answers_makes_a_model_unavailable_soon(
    into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = MlflowModels(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=1.0)
        started = time.monotonic()
        with pytest.raises(ModelUnavailable):
            source.fetch("models:/m/1", into)
        assert time.monotonic() - started < 15


def test_why_a_server_is_away_is_said_in_the_same_words_each_time(
    closed_port: int, into: Path
) -> None:
    """Or a hold would be logged anew with each try."""
    source = MlflowModels(f"http://127.0.0.1:{closed_port}", policy=ANY_URI)
    said = set()
    for _turn in range(2):
        with pytest.raises(ModelUnavailable) as away:
            source.fetch("models:/m/1", into)
        said.add(str(away.value))
    assert len(said) == 1


def test_a_folder_without_a_model_is_unavailable(
    source: MlflowModels, tmp_path: Path, into: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelUnavailable, match="no MLmodel"):
        source.fetch(str(tmp_path / "empty"), into)
