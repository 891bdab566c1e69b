"""The image under test: the one that IMAGE_UNDER_TEST names, as `make image-test` does."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "IMAGE_UNDER_TEST" in os.environ:
        return
    why = pytest.mark.skip(reason="no image to test: `make image image-test`")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(why)


@pytest.fixture(scope="session")
def image() -> str:
    return os.environ["IMAGE_UNDER_TEST"]
