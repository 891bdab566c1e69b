"""The digest: the same for the same files and for no others."""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.digest import artifact_digest

FILES = {"MLmodel": b"flavors:", "model.skops": b"\x00\x01", "nested/example.json": b"{}"}
NAMES = st.lists(st.sampled_from(["a", "b", "ab", "ä", "a b", "a\nb"]), min_size=1, max_size=3)
TREES = st.dictionaries(
    NAMES.map("/".join), st.sampled_from([b"", b"x", b"\n"]), max_size=3
).filter(lambda tree: not any(f"{a}/" in b for a in tree for b in tree))


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def digest(folder: Path, files: dict[str, bytes]) -> str:
    return artifact_digest(write(folder, files))


def test_it_is_a_sha_256_that_an_announcement_accepts(tmp_path: Path) -> None:
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest(tmp_path, FILES))


def test_the_same_files_elsewhere_have_the_same_digest(tmp_path: Path) -> None:
    assert digest(tmp_path / "a", FILES) == digest(tmp_path / "b", FILES)


def test_the_order_in_which_a_file_system_lists_files_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, rglob = digest(tmp_path, FILES), Path.rglob

    def backwards(folder: Path, pattern: str) -> Iterator[Path]:
        return iter(sorted(rglob(folder, pattern), reverse=True))

    monkeypatch.setattr(Path, "rglob", backwards)
    assert artifact_digest(tmp_path) == expected


@pytest.mark.parametrize(
    "changed",
    [
        {**FILES, "model.skops": b"\x00\x02"},
        {**FILES, "model.skops": b"\x00"},
        {**FILES, "more": b""},
        {"MLmodel": b"flavors:", "model.skops": b"\x00\x01"},
        {"MLmodel": b"flavors:", "model.skops": b"\x00\x01", "example.json": b"{}"},
        {"MLmodel": b"\x00\x01", "model.skops": b"flavors:", "nested/example.json": b"{}"},
        {"MLmodel": b"flavors:", "model.skops": b"\x00\x01", "nested/other.json": b"{}"},
        {**FILES, "nested/registered_model_meta": b""},
    ],
    ids=["content", "cut", "added", "missing", "moved", "exchanged", "renamed", "nested_meta"],
)
def test_any_other_files_have_another_digest(tmp_path: Path, changed: dict[str, bytes]) -> None:
    assert digest(tmp_path / "a", FILES) != digest(tmp_path / "b", changed)


def test_what_the_registrys_client_adds_to_a_download_is_left_out(tmp_path: Path) -> None:
    downloaded = {**FILES, "registered_model_meta": b"model_name: m"}
    assert digest(tmp_path / "a", FILES) == digest(tmp_path / "b", downloaded)


def test_a_link_counts_as_the_file_that_it_points_to(tmp_path: Path) -> None:
    whole = digest(tmp_path / "a", FILES)
    linked = write(tmp_path / "b", {k: v for k, v in FILES.items() if k != "model.skops"})
    (linked / "model.skops").symlink_to(tmp_path / "a" / "model.skops")
    assert artifact_digest(linked) == whole


def test_a_link_counts_as_the_folder_that_it_points_to(tmp_path: Path) -> None:
    """Or what lies behind it could be exchanged unseen."""
    whole = digest(tmp_path / "a", FILES)
    linked = write(tmp_path / "b", {k: v for k, v in FILES.items() if "/" not in k})
    (linked / "nested").symlink_to(tmp_path / "a" / "nested")
    assert artifact_digest(linked) == whole


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (write(tmp_path, FILES) / "broken").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError, match="broken"):
        artifact_digest(tmp_path)


def test_a_name_that_is_no_unicode_has_a_digest_too(tmp_path: Path) -> None:
    name = b"\xff".decode("utf-8", "surrogateescape")
    assert digest(tmp_path / "a", {name: b""}) != digest(tmp_path / "b", {"x": b""})


@given(TREES, TREES)
def test_two_folders_have_the_same_digest_exactly_if_they_have_the_same_files(
    first: dict[str, bytes], second: dict[str, bytes]
) -> None:
    with TemporaryDirectory() as folder:
        same = digest(Path(folder, "a"), first) == digest(Path(folder, "b"), second)
    assert same == (first == second)
