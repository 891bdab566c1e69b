"""Pure parts of the registry service: problems, rates, roles, names, pages, rows, plans."""

import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from typer.testing import CliRunner

from app.cli import app
from app.domain import errors
from app.domain.errors import DsModelsError, ModelUnavailable, SettingsError
from app.domain.plans import PlanTable
from app.service.metrics import ServiceMetrics
from app.service.predicting import RecentPlans
from app.service.problems import Problem, problem_of, speakable
from app.service.rate import Rate
from app.service.roles import Role
from app.service.routes.common import closed, opened
from app.service.routes.predict import rows_of
from app.service.server import listen, require_loopback

ALL = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, DsModelsError)
]


# --- problems ---


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_of_ours_becomes_problem_details(kind: type[DsModelsError]) -> None:
    problem = problem_of(kind("why"))
    assert problem.next_step
    assert ("Retry-After" in (problem.headers or {})) is (problem.status_code == 503)
    if problem.status_code != 500:
        assert (problem.error, problem.detail) == (kind.__name__, "why")


def test_what_is_unexpected_tells_nothing_of_the_inside() -> None:
    response = problem_of(KeyError("/home/me/secret")).response("/x", "1")
    assert response.status_code == 500
    assert b"secret" not in response.body
    assert response.media_type == "application/problem+json"


def test_what_the_framework_refuses_is_a_problem_too() -> None:
    problem = problem_of(HTTPException(405, "Method Not Allowed", {"Allow": "GET"}))
    assert (problem.status_code, problem.error) == (405, "MethodNotAllowed")
    assert problem.headers == {"Allow": "GET"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[Errno 2] no file: '/tmp/ds-models-1/MLmodel'", "[Errno 2] no file: '…'"),
        (
            "models:/m/1 (MLflow at http://u:pw@h:5000/a/b)",
            "models:/m/1 (MLflow at http://u:***@h:5000/a/b)",
        ),
        ("/var/lib/x/y failed", "… failed"),
        ("1/2 of a/b", "1/2 of a/b"),
    ],
)
def test_paths_and_passwords_are_not_told(said: str, told: str) -> None:
    assert speakable(ModelUnavailable(said)) == told


# --- roles and rates ---


def test_each_role_may_what_the_ones_before_it_may() -> None:
    roles = [Role.READER, Role.PUBLISHER, Role.PROMOTER, Role.ADMIN]
    for has, one in enumerate(roles):
        for needs, other in enumerate(roles):
            assert one.may(other) is (has >= needs)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_no_token_gets_more_than_its_burst_and_its_rate(pauses: list[float]) -> None:
    now, let_in = [0.0], 0
    rate = Rate(per_s=2.0, burst=3, clock=lambda: now[0])
    for pause in pauses:
        now[0] += pause
        wait_s = rate.wait_s("a")
        let_in += wait_s == 0
        assert 0 <= wait_s <= 0.5
    assert let_in <= 3 + 2 * now[0] + 1e-6


def test_whoever_waits_as_long_as_it_was_told_is_let_in() -> None:
    now = [0.0]
    rate = Rate(per_s=3.0, burst=1, clock=lambda: now[0])
    assert rate.wait_s("a") == 0
    now[0] += rate.wait_s("a") + 1e-9
    assert rate.wait_s("a") == 0


def test_threads_share_one_bucket() -> None:
    rate = Rate(per_s=1.0, burst=50, clock=lambda: 0.0)
    let_in: list[bool] = []

    def call() -> None:
        let_in.extend(rate.wait_s("a") == 0 for _ in range(20))

    threads = [threading.Thread(target=call) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(let_in) == 50


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])  # noqa: S104
def test_without_tokens_no_other_machine_is_served(host: str) -> None:
    with pytest.raises(SettingsError, match="this machine alone"):
        require_loopback(host)


def test_an_answer_is_sent_at_once_whole_or_not() -> None:
    """The head and the body of an answer are written one after the other."""
    with listen("127.0.0.1", 0) as listening:
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@pytest.mark.parametrize("time", ["0d", "5", "d", "-1d", "99999999d", "1w"])
def test_a_token_that_lasts_for_no_time_is_not_made(
    time: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DS_MODELS_SERVICE__DATABASE_URL", f"sqlite:///{tmp_path}/registry.db")
    done = CliRunner().invoke(app, ["token", "create", "x", "--expires-in", time])
    assert done.exit_code == 2
    assert "no time such as" in done.output
    assert list(tmp_path.iterdir()) == []


# --- pages and rows ---


@given(st.text(), st.text())
def test_a_page_token_opens_its_own_list_and_no_other(of: str, inside: str) -> None:
    token = closed(of, inside)
    assert opened(of, token) == inside
    with pytest.raises(Problem):
        opened(f"{of}x", token)


@given(st.text(max_size=60))
def test_a_page_token_that_is_noise_is_refused(noise: str) -> None:
    with pytest.raises(Problem) as told:
        opened("models", noise)
    assert told.value.status_code == 400


@pytest.mark.parametrize(
    ("body", "kind", "rows"),
    [
        (b'{"a":1}', "application/json", [b'{"a":1}']),
        (b'\n [ {"a": 1e0},"x" , null ]', "application/json", [b'{"a": 1e0}', b'"x"', b"null"]),
        (b"[]", "application/json", []),
        (b"not json", "application/json", [b"not json"]),
        (b"a\r\n\nb", "application/x-ndjson", [b"a", b"", b"b"]),
        (b"a\n", "application/x-ndjson", [b"a"]),
        (b"", "application/x-ndjson", [b""]),
    ],
)
def test_rows_are_the_bytes_that_were_sent(body: bytes, kind: str, rows: list[bytes]) -> None:
    assert rows_of(body, kind, 10) == rows


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"[1,", "application/json", 400),
        (b"[NaN]", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[1,2,3]", "application/json", 413),
        (b"1\n2\n3", "application/x-ndjson", 413),
        (b"x", "text/csv", 415),
    ],
)
def test_a_body_that_can_not_be_cut_into_rows_is_refused(
    body: bytes, kind: str, status: int
) -> None:
    with pytest.raises(Problem) as told:
        rows_of(body, kind, 2)
    assert told.value.status_code == status


# --- plans ---


def test_the_table_is_read_again_before_it_could_miss_a_plan_in_force() -> None:
    now, reads = [0.0], []

    def read() -> PlanTable:
        reads.append(now[0])
        return PlanTable()

    recent = RecentPlans(read, guard_s=1.0, clock_ms=lambda: 0, clock=lambda: now[0])
    for at in (0.0, 0.2, 0.49, 0.5, 0.9, 1.0):
        now[0] = at
        assert recent.in_force() is None
    assert reads == [0.0, 0.5, 1.0]


def test_what_can_not_be_read_is_told_and_tried_again() -> None:
    answers: list[Any] = [ModelUnavailable("away"), PlanTable()]

    def read() -> PlanTable:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: PlanTable = answer
        return found

    recent = RecentPlans(read, guard_s=1.0, clock_ms=lambda: 0, clock=lambda: 0.0)
    with pytest.raises(ModelUnavailable):
        recent.in_force()
    assert recent.in_force() is None


# --- the page ---


def test_every_metric_is_on_the_page_with_its_labels_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "service.md").read_text()
    table = page[page.index("## Metrics") :]
    listed = {
        name: (kind, set(re.findall(r"`(\w+)`(?=[ ,]|$)", re.sub(r"\(.*?\)", "", labels))))
        for name, kind, labels in re.findall(
            r"^\| `(\w+)` \| (\w+) \| (.*?) \|", table, re.MULTILINE
        )
    }
    metrics = ServiceMetrics()
    metrics.answered("GET", "/x", 200, 0.1)
    metrics.refused("unauthorized")
    metrics.changed("version.upload", "done")
    metrics.predicted(1, 0)
    metrics.webhook("taken")
    metrics.reconciled("staged")
    real: dict[str, tuple[str, set[str]]] = {}
    for family in metrics.registry.collect():
        if not family.name.startswith("process_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            real[name] = (family.type, labels)
    assert listed == real
