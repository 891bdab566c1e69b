"""The policy on what is loaded: URIs, hosts, names and flavors, each by its words alone."""

from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import ModelRefused, PolicyRefused
from app.registry.policy import Policy, registered_name

SKOPS = {
    "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.skops"},
    "sklearn": {"serialization_format": "skops", "pickled_model": "model.skops"},
}


def complaint(flavors: Any, policy: Policy | None = None) -> str:
    with pytest.raises(PolicyRefused) as refused:
        (policy or Policy()).require_flavors(Path("/artifact"), flavors)
    return str(refused.value)


def changed(part: str, **changes: Any) -> dict[str, Any]:
    return {**SKOPS, part: {**SKOPS[part], **changes}}


@pytest.mark.parametrize(
    "uri",
    ["models:/m/1", "models:/m@champion", "models:/m-0f1e", "models://profile@databricks/m/1"],
)
def test_a_models_uri_is_allowed(uri: str) -> None:
    Policy().require_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "/srv/m",
            "m",
            "",
            "file:///srv/m",
            "runs:/0f/m",
            "s3://b/m",
            "http://h/m",
            "https://h/m",
        ),
        "MODELSX:/m/1",
    ],
)
def test_any_other_scheme_is_refused(uri: str) -> None:
    with pytest.raises(PolicyRefused, match=r"policy\.uri_schemes allows models"):
        Policy().require_uri(uri)


def test_a_scheme_is_the_same_in_capitals() -> None:
    Policy(uri_schemes=["S3"]).require_uri("s3://b/m")


def test_the_password_of_a_refused_uri_is_not_told() -> None:
    with pytest.raises(PolicyRefused, match=r"u:\*\*\*@h"):
        Policy().require_uri("http://u:pw@h/m")


@pytest.mark.parametrize("uri", ["models:/treasury-price/1", "models:/treasury-yield@champion"])
def test_a_pattern_allows_a_family_of_models(uri: str) -> None:
    Policy(models=["treasury-*"]).require_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        *("models:/other/1", "models:/other/treasury-x", "models:/x/treasury-x/1"),
        *("models:/Treasury-x/1", "models:/m-0f1e", "models:/treasury-x"),
    ],
)
def test_a_model_outside_of_the_family_is_refused(uri: str) -> None:
    with pytest.raises(PolicyRefused, match=r"policy\.models allows treasury-\*"):
        Policy(models=["treasury-*"]).require_uri(uri)


def test_a_uri_that_names_no_registered_model_needs_the_pattern_for_all() -> None:
    Policy(models=["*"], uri_schemes=["file"]).require_uri("/srv/treasury-price/1")
    with pytest.raises(PolicyRefused, match="registered name is ''"):
        Policy(models=["treasury-*"], uri_schemes=["file"]).require_uri("/srv/treasury-price/1")


def test_a_name_is_read_as_mlflow_reads_it() -> None:
    """To MLflow a `#` begins nothing."""
    assert registered_name("models:/safe@#evil/1") == "safe@#evil"


@pytest.mark.parametrize(
    ("location", "allowed"),
    [
        ("s3://models/a", True),
        ("s3://MODELS/a", True),
        ("https://u:p@store.example:8443/a", True),
        ("mlflow-artifacts:/1/a", True),  # on the MLflow server
        ("https://evil/store.example", False),
        ("https://store.example.evil/a", False),
        ("https://store.example@evil/a", False),
        ("mlflow-artifacts://evil/1/a", False),
        ("http://evil\\@store.example/a", False),  # HTTP clients take the host to be `evil`
        ("/srv/a", False),  # here, not on the MLflow server
        ("file:/srv/a", False),
        ("file://mlflow/srv/a", False),
    ],
)
def test_files_come_from_hosts_that_are_allowed(location: str, *, allowed: bool) -> None:
    policy = Policy(uri_hosts=["models", "*.Example", "mlflow"])
    if allowed:
        policy.require_host(location, "mlflow")
        return
    with pytest.raises(PolicyRefused, match=r"policy\.uri_hosts"):
        policy.require_host(location, "mlflow")


def test_what_has_no_host_at_all_is_allowed_only_where_all_hosts_are() -> None:
    Policy().require_host("/srv/m", "")
    with pytest.raises(PolicyRefused):
        Policy(uri_hosts=["mlflow"]).require_host("/srv/m", "")


def test_a_skops_model_is_allowed_by_default() -> None:
    Policy().require_flavors(Path("/artifact"), SKOPS)


@pytest.mark.parametrize(
    ("flavors", "said"),
    [
        ({}, "it is a foreign model"),
        ({"python_function": None, "sklearn": []}, "it is a foreign model"),
        ({"sklearn": SKOPS["sklearn"]}, "it is a foreign model"),
        ({"python_function": SKOPS["python_function"]}, "it is a pickle model"),
        (changed("sklearn", serialization_format="pickle"), "it is a pickle model"),
        (changed("sklearn", serialization_format="cloudpickle"), "it is a pickle model"),
        (changed("sklearn", serialization_format="SKOPS"), "it is a SKOPS (serialization_format)"),
        (changed("sklearn", serialization_format=None), "it is a None (serialization_format)"),
        (changed("python_function", loader_module="mlflow.pyfunc.model"), "it is a pyfunc model"),
        (changed("python_function", loader_module="mlflow.xgboost"), "it is a mlflow.xgboost"),
        (changed("python_function", code="code"), "policy.code_paths"),
        (changed("sklearn", code="code"), "policy.code_paths"),
        (changed("python_function", model_code_path="m.py"), "policy.code_paths"),
        (changed("python_function", data="."), "part of the artifact"),
        (changed("python_function", model_path="/etc/m"), "outside of the artifact"),
        (changed("sklearn", pickled_model="../m"), "outside of the artifact"),
        (changed("sklearn", skops_trusted_types=["os.system", 7]), "7, os.system"),
        (changed("sklearn", skops_trusted_types=[["os.system"]]), "['os.system']"),
        (changed("sklearn", skops_trusted_types=True), "True"),
    ],
)
def test_what_is_refused_by_default(flavors: Any, said: str) -> None:
    assert said in complaint(flavors)


@pytest.mark.parametrize("artifacts", [{"a": {"path": "../x"}}, {"a": "/etc/passwd"}, {"a": {}}])
def test_files_that_a_pyfunc_names_outside_of_the_artifact_are_refused(artifacts: Any) -> None:
    flavors = {"python_function": {"loader_module": "mlflow.pyfunc.model", "artifacts": artifacts}}
    if artifacts == {"a": {}}:
        Policy(flavors=["pyfunc"]).require_flavors(Path("/artifact"), flavors)
    else:
        assert "outside of the artifact" in complaint(flavors, Policy(["pyfunc"]))


def test_a_refusal_is_a_refusal_of_a_model() -> None:
    assert issubclass(PolicyRefused, ModelRefused)
    assert PolicyRefused.exit_code == 7
