import sys
from pathlib import Path

import pytest

from app.domain.errors import ModelUnavailable
from app.registry.mlflow_models import MlflowModels
from app.registry.policy import Policy


@pytest.mark.parametrize(
    ("uri", "driver", "extra"),
    [
        ("s3://models/m", "boto3", "s3"),
        ("wasbs://models@account.blob.core.windows.net/m", "azure", "azure"),
        ("gs://models/m", "google", "gcs"),
    ],
)
def test_a_missing_driver_of_a_store_is_named_with_what_installs_it(
    uri: str, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == driver]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, driver, None)  # as if it were not installed
    for name in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    models = MlflowModels("http://127.0.0.1:9", policy=Policy(uri_schemes=("s3", "wasbs", "gs")))
    with pytest.raises(ModelUnavailable) as caught:
        models.fetch(uri, tmp_path)
    assert f"pip install 'ds-models[{extra}]'" in str(caught.value)
