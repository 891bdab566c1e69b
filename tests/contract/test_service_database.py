"""What the service keeps in its database: the same on sqlite and on PostgreSQL."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text, update

from app.domain.errors import DatabaseUnavailable, ModelUnavailable, Refused, SettingsError
from app.service import database
from app.service.audit import Audit, Change
from app.service.database import open_database
from app.service.idempotency import Answer, Claim, IdempotencyKeys
from app.service.problems import Problem
from app.service.roles import Caller, Role
from app.service.tokens import Tokens
from tests.harness import postgresql
from tests.harness.world import until

REQUEST = "r" * 64
DONE = Answer(201, {"Location": "/there"}, b"{}")


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    if (why := postgresql.why_not()) is not None:
        pytest.skip(why)
    with postgresql.server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/down/registry.db"
    found: str = request.getfixturevalue("postgresql_url")
    engine = create_engine(found)
    with engine.begin() as connection:
        database._all.drop_all(connection)
    engine.dispose()
    return found


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_database(url)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


# --- the tables ---


def test_services_that_start_at_once_make_the_tables_once(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        engines = list(pool.map(lambda _: open_database(url, 20.0), range(8)))
    for engine in engines:
        database.require_answer(engine)
        engine.dispose()


def test_tables_of_a_newer_version_are_left_alone(url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(update(database.schema).values(version=99))
    with pytest.raises(DatabaseUnavailable, match="a newer version"):
        open_database(url)


@pytest.mark.parametrize("wrong", ["nonsense", "oracle://x/y", "sqlite+nothing:///x"])
def test_an_address_that_is_none_is_a_settings_error(wrong: str) -> None:
    with pytest.raises(SettingsError, match="database_url"):
        open_database(wrong)


@pytest.mark.skipif(postgresql.why_not() is not None, reason=str(postgresql.why_not()))
def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailable) as told:
        open_database("postgresql+psycopg://me:hidden@127.0.0.1:1/none", 1.0)
    assert "hidden" not in str(told.value)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "noise.db"
    file.write_bytes(b"noise" * 1000)
    with pytest.raises(DatabaseUnavailable):
        open_database(f"sqlite:///{file}")


# --- tokens ---


@pytest.fixture
def tokens(engine: Engine, clock: Clock) -> Tokens:
    return Tokens(engine, clock)


def test_a_token_opens_what_its_role_says_and_is_kept_as_a_hash(
    tokens: Tokens, engine: Engine
) -> None:
    _, secret = tokens.create("ci", Role.PUBLISHER, None)
    assert tokens.caller(secret) == Caller("ci", Role.PUBLISHER)
    with engine.connect() as connection:
        rows = connection.execute(database.tokens.select()).all()
    assert secret.partition(".")[2] not in repr(rows)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t[:-1],
        lambda t: t + "A",
        lambda t: t.replace("ci.", "cj."),
        lambda t: t.partition(".")[2],
        lambda _: "",
        lambda _: "ci.",
        lambda _: "\ud800.\ud800",
        lambda _: "ci' OR '1'='1.x",
        lambda t: t.swapcase(),
    ],
)
def test_what_is_not_the_token_opens_nothing(tokens: Tokens, spoil: Any) -> None:
    _, secret = tokens.create("ci", Role.ADMIN, None)
    assert tokens.caller(spoil(secret)) == "there is no such token"


def test_a_token_ends_when_it_was_said_to(tokens: Tokens, clock: Clock) -> None:
    _, secret = tokens.create("ci", Role.READER, 1_000)
    clock.now_ms += 999
    assert isinstance(tokens.caller(secret), Caller)
    clock.now_ms += 1
    assert tokens.caller(secret) == "the token is expired"


def test_a_revoked_token_is_closed_for_good_and_its_name_is_not_given_again(
    tokens: Tokens, clock: Clock
) -> None:
    _, secret = tokens.create("ci", Role.READER, None)
    revoked = tokens.revoke("ci")
    clock.now_ms += 5
    assert tokens.revoke("ci") == revoked
    assert tokens.caller(secret) == "the token is revoked"
    with pytest.raises(Refused, match="another name"):
        tokens.create("ci", Role.READER, None)
    assert [t.state(clock.now_ms) for t in tokens.all()] == ["revoked"]


def test_a_token_that_is_not_there_can_not_be_revoked(tokens: Tokens) -> None:
    with pytest.raises(Refused, match="no token"):
        tokens.revoke("nobody")


@pytest.mark.parametrize("name", ["", "a b", "a.b", "dev", "x" * 65, "é", "a\n"])
def test_a_name_that_could_mislead_is_none(tokens: Tokens, name: str) -> None:
    with pytest.raises(SettingsError, match="no name"):
        tokens.create(name, Role.READER, None)


# --- idempotency ---


def keys(engine: Engine, clock: Clock, lease_ms: int = 15_000) -> IdempotencyKeys:
    return IdempotencyKeys(engine, clock, keep_ms=60_000, lease_ms=lease_ms)


def never(_: Claim) -> Answer:
    raise AssertionError("it was done again")


def test_the_same_request_is_done_once_and_gets_the_same_answer(
    engine: Engine, clock: Clock
) -> None:
    one, other = keys(engine, clock), keys(engine, clock)
    assert one.once("ci", "k", REQUEST, "/p", lambda _: DONE) == (DONE, False)
    assert other.once("ci", "k", REQUEST, "/p", never) == (DONE, True)


def test_the_same_key_of_another_caller_is_another_key(engine: Engine, clock: Clock) -> None:
    made = keys(engine, clock)
    made.once("ci", "k", REQUEST, "/p", lambda _: DONE)
    assert made.once("me", "k", REQUEST, "/p", lambda _: DONE) == (DONE, False)


def test_another_request_with_the_same_key_is_refused(engine: Engine, clock: Clock) -> None:
    made = keys(engine, clock)
    made.once("ci", "k", REQUEST, "/p", lambda _: DONE)
    with pytest.raises(Problem) as told:
        made.once("ci", "k", "o" * 64, "/p", never)
    assert told.value.status_code == 422


def test_a_refusal_is_kept_and_a_failure_is_not(engine: Engine, clock: Clock) -> None:
    made = keys(engine, clock)

    def refuse(_: Claim) -> Answer:
        raise Refused("no")

    def fail(_: Claim) -> Answer:
        raise ModelUnavailable("away")

    with pytest.raises(Refused):
        made.once("ci", "no", REQUEST, "/p", refuse)
    answer, again = made.once("ci", "no", REQUEST, "/p", never)
    assert (answer.status, again) == (409, True)
    with pytest.raises(ModelUnavailable):
        made.once("ci", "away", REQUEST, "/p", fail)
    assert made.once("ci", "away", REQUEST, "/p", lambda _: DONE) == (DONE, False)


def test_of_many_at_once_one_does_it_and_the_others_wait_or_get_its_answer(
    engine: Engine, clock: Clock
) -> None:
    begun, done = threading.Event(), []

    def slowly(claim: Claim) -> Answer:
        done.append(claim.owner)
        assert begun.wait(30)
        return DONE

    def ask(number: int) -> int:
        try:
            return keys(engine, clock).once("ci", "k", REQUEST, f"/{number}", slowly)[0].status
        except Problem as problem:
            return problem.status_code

    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask, number) for number in range(6)]
        until(lambda: sum(future.done() for future in asked) == 5, 30, "five refusals")
        begun.set()
    assert sorted(future.result() for future in asked) == [201, *[409] * 5]
    assert len(done) == 1


def test_a_key_whose_service_was_killed_is_taken_over_after_its_lease(
    engine: Engine, clock: Clock
) -> None:
    killed = keys(engine, clock)._claim("ci", "k", REQUEST)
    assert isinstance(killed, Claim)
    made, names = keys(engine, clock), []
    with pytest.raises(Problem) as told:
        made.once("ci", "k", REQUEST, "/p", never)
    assert told.value.status_code == 409
    clock.now_ms += 15_001

    def work(claim: Claim) -> Answer:
        names.append(claim.name)
        assert made.holds(claim)
        assert not made.holds(killed)
        return DONE

    assert made.once("ci", "k", REQUEST, "/p", work) == (DONE, False)
    assert names == [killed.name]


def test_a_lease_is_renewed_while_the_work_goes_on(engine: Engine, clock: Clock) -> None:
    made = keys(engine, clock, lease_ms=300)

    def work(_: Claim) -> Answer:
        clock.now_ms += 250

        def renewed() -> bool:
            with engine.connect() as connection:
                until_ms = connection.execute(database.idempotency.select()).one().lease_until_ms
            return bool(until_ms == clock.now_ms + 300)

        until(renewed, 30, "a renewed lease")
        return DONE

    assert made.once("ci", "k", REQUEST, "/p", work) == (DONE, False)


def test_an_answer_is_forgotten_after_its_time(engine: Engine, clock: Clock) -> None:
    made = keys(engine, clock)
    made.once("ci", "k", REQUEST, "/p", lambda _: DONE)
    clock.now_ms += 60_001
    assert made.once("ci", "k", "o" * 64, "/p", lambda _: DONE) == (DONE, False)


# --- audit ---


def change(**changes: Any) -> Change:
    given = {"action": "version.upload", "target": "m", "why": "é", "request_id": "1"}
    return Change(caller=Caller("ci", Role.PUBLISHER), **{**given, **changes})


def test_a_record_says_how_the_change_ended(engine: Engine, clock: Clock) -> None:
    audit = Audit(engine, clock)
    with audit.of(change()) as done:
        done.target = "m/3"
    with pytest.raises(Refused), audit.of(change()):
        raise Refused("no")
    with pytest.raises(ModelUnavailable), audit.of(change()):
        raise ModelUnavailable("away")
    records = audit.newest(10, None)
    assert [(r["outcome"], r["status"], r["target"]) for r in records] == [
        ("failed", 503, "m"),
        ("refused", 409, "m"),
        ("done", None, "m/3"),
    ]
    assert [r["id"] for r in audit.newest(1, records[0]["id"])] == [records[1]["id"]]


def test_a_change_that_was_broken_off_stays_started(engine: Engine, clock: Clock) -> None:
    audit = Audit(engine, clock)
    audit._begin(change())  # and the service is killed
    assert [r["outcome"] for r in audit.newest(10, None)] == ["started"]


def test_without_a_record_there_is_no_change(tmp_path: Path, clock: Clock) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/registry.db")
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE ds_models_audit"))
    with pytest.raises(DatabaseUnavailable), Audit(engine, clock).of(change()):
        raise AssertionError("it was made")
