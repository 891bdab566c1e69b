"""`config`: what is shown of a setting, and checks that fail, raise, hang or depend on others."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import BrokerUnavailable
from app.domain.secrets import is_secret, without_passwords
from app.settings import Source
from app.tools.settings.check import Check, Found, Wrong, check_folder, run_checks
from app.tools.settings.in_force import masked, rows

PASSWORDS = st.text(st.characters(exclude_categories=("Z", "C")), min_size=4)

# --- secrets ---


@pytest.mark.parametrize(
    "name",
    ["password", "sasl_password", "API_KEY", "token", "sslKeyPassword", "secret", "aws_secret_id"],
)
def test_a_name_that_says_secret_is_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["keyboard", "monkey", "tokens_per_s", "tracking_uri", "kept"])
def test_a_name_that_only_looks_like_it_is_not(name: str) -> None:
    assert not is_secret(name)


@given(PASSWORDS.filter(lambda text: "://" not in text))
def test_no_password_of_an_address_is_shown(password: str) -> None:
    told = without_passwords(f"no answer at http://someone:{password}@mlflow:5000/api, at all")
    assert told == "no answer at http://someone:***@mlflow:5000/api, at all"


@pytest.mark.parametrize(
    "text",
    ["http://127.0.0.1:5000", "s3://bucket/path", "localhost:9092,other:9092", "a:b@c", ""],
)
def test_a_text_without_a_password_stays_as_it_is(text: str) -> None:
    assert without_passwords(text) == text


def test_each_of_several_addresses_is_masked() -> None:
    both = "http://a:one@h1:80,http://b:two@h2:80"
    assert without_passwords(both) == "http://a:***@h1:80,http://b:***@h2:80"


def test_a_user_that_holds_an_at_sign_hides_no_password() -> None:
    assert without_passwords("http://me@home:pw@h/") == "http://me@home:***@h/"


def test_a_password_among_the_parameters_of_an_address_is_masked() -> None:
    assert without_passwords("db://h/x?sslpassword=a&user=u;API_KEY=b") == (
        "db://h/x?sslpassword=***&user=u;API_KEY=***"
    )


def test_secrets_inside_of_values_are_masked() -> None:
    given_value = {"password": "a", "url": ["http://u:b@h"], "empty_token": "", "port": 80}
    assert masked("http", given_value) == {
        "password": "***",
        "url": ["http://u:***@h"],
        "empty_token": "",
        "port": 80,
    }


def test_a_row_names_the_source_that_counts_and_those_that_lost() -> None:
    sources = {
        ("a", "b"): [Source("file", "1.toml"), Source("file", "2.toml"), Source("environment", "B")]
    }
    assert rows({"a": {"b": 1, "c": 2}}, sources) == [
        {
            "setting": "a.b",
            "value": 1,
            "source": "environment",
            "name": "B",
            "overrides": ["2.toml", "1.toml"],
        },
        {"setting": "a.c", "value": 2, "source": "default", "name": None, "overrides": []},
    ]


# --- checks ---


def run(*checks: Check, timeout_s: float = 30.0) -> list[tuple[str, str, str | None]]:
    return [(f.check, f.status, f.remedy) for f in run_checks(checks, timeout_s)]


def failing(error: Exception) -> Callable[[], str]:
    def look() -> str:
        raise error

    return look


def test_a_check_that_raises_stops_no_other() -> None:
    assert run(
        Check("a", failing(BrokerUnavailable("away")), "bring it"),
        Check("b", failing(ZeroDivisionError("odd")), "look"),
        Check("c", lambda: "fine", ""),
    ) == [("a", "wrong", "bring it"), ("b", "wrong", "look"), ("c", "good", None)]


def test_a_check_that_hangs_is_left_alone() -> None:
    never = threading.Event()
    hangs = Check("a", lambda: str(never.wait()), "look")
    found = list(run_checks([hangs, Check("b", lambda: "fine", "")], 0.05))
    assert found[0] == Found("a", "wrong", "no answer within 0.05 s", "look")
    assert found[1].status == "good"
    never.set()


def test_what_needs_a_check_that_failed_is_not_looked_at() -> None:
    looked: list[str] = []

    def look() -> str:
        looked.append("b")
        return "fine"

    found = run(
        Check("a", failing(OSError("away")), "bring it"),
        Check("b", look, "", needs="a"),
        Check("c", look, "", needs="b"),
    )
    assert [status for _, status, _ in found] == ["wrong", "unknown", "unknown"]
    assert looked == []


def test_all_that_is_wrong_with_one_thing_is_said() -> None:
    def look() -> Sequence[Wrong]:
        return [Wrong("x", "do x"), Wrong("y", "do y")]

    assert run(Check("a", look, "")) == [("a", "wrong", "do x"), ("a", "wrong", "do y")]


def test_a_password_is_never_part_of_what_was_seen() -> None:
    (found,) = run_checks([Check("a", failing(OSError("http://u:pw@h is away")), "")], 30)
    assert "pw" not in found.detail


def test_a_folder_that_can_be_made_is_good_and_is_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    seen = check_folder(folder, 1)
    assert isinstance(seen, str)
    assert "will be made" in seen
    assert list(tmp_path.iterdir()) == []


def only_wrong(seen: str | Sequence[Wrong]) -> Wrong:
    assert not isinstance(seen, str)
    (wrong,) = seen
    return wrong


def test_a_folder_below_a_file_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wrong = only_wrong(check_folder(tmp_path / "file" / "folder", 1))
    assert "can't be written" in wrong.detail


def test_a_folder_without_room_is_wrong(tmp_path: Path) -> None:
    wrong = only_wrong(check_folder(tmp_path, 10**18))
    assert "1,000,000,000,000 MB are needed" in wrong.detail
