"""The join: which announcement is in force for a record, as a function of the topics alone."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NO_PLAN = -1
"""The offset of no plan at all."""
_EVER = 2**62  # milliseconds


@dataclass(frozen=True, slots=True)
class Announcement:
    """The serving plan of one model, as it is written on the announcement topic.

    Attributes:
        model_name: The registered model.
        model_version: Its version in the registry.
        model_uri: Where its artifact is, as the registry's client reads it.
        digest: `sha256:…` over the artifact's files.
        features: The columns that the model needs.
        guard_ms: Milliseconds between the append of this message and its earliest effect.
        run_id: The training run, if there is one.
        effective_from_ms: Unix milliseconds before which it has no effect, if it names one.
        event_id: Unique per announcement; a second message with the same one is a duplicate.
        why: Why it was announced, for people.
        replaces: The offset of the newest plan of the model when this one was made, `NO_PLAN` if
            there was none. If another has come in between, it is no plan: of two changes at once
            the second is not made unseen. None if it does not matter.
        alias: The alias of the registry that asked for it by being moved; None if somebody did.
    """

    model_name: str
    model_version: str
    model_uri: str
    digest: str
    features: tuple[str, ...]
    guard_ms: int
    event_id: str
    run_id: str | None = None
    effective_from_ms: int | None = None
    why: str | None = None
    replaces: int | None = None
    alias: str | None = None

    def is_outrun(self, newest: int) -> bool:
        """Say whether another plan came before it than the one that it replaces.

        Args:
            newest: The offset of the newest plan before it, `NO_PLAN` if none is known: those
                before the first may have been deleted.
        """
        return self.replaces is not None and newest not in (self.replaces, NO_PLAN)


@dataclass(frozen=True, slots=True)
class Plan:
    """An announcement with its place in the topic.

    Attributes:
        offset: Its offset on the announcement topic: a later plan wins over an earlier one.
        appended_ms: When the broker appended it, in Unix milliseconds.
    """

    offset: int
    appended_ms: int
    announcement: Announcement

    @property
    def effective_ms(self) -> int:
        """The first millisecond at which the plan can be in force.

        Never before its append time plus its guard: no plan changes the past, only a void does.
        """
        guarded = self.appended_ms + self.announcement.guard_ms
        return max(guarded, self.announcement.effective_from_ms or guarded)


@dataclass(frozen=True, slots=True)
class Void:
    """The way out of a plan that nobody can load, and the only thing that changes the past.

    From when it is read, records are joined as if the voided plan had never been announced.

    Attributes:
        offset: Its own, on the announcement topic.
        appended_ms: When the broker appended it, in Unix milliseconds. It changes nothing.
        model_name: The model of the voided plan.
        voided_offset: Of the plan that it voids.
        why: For people.
        event_id: Unique per void.
        even_if_last: Whether records may be left without any plan.
    """

    offset: int
    appended_ms: int
    model_name: str
    voided_offset: int
    why: str
    event_id: str
    even_if_last: bool = False


@dataclass(frozen=True, slots=True)
class Staged:
    """A version that all instances load and keep warm, while the plan in force stays in force.

    The next plan of the model ends it, whatever version it names, and so does another one.

    Attributes:
        offset: Its own, on the announcement topic.
        appended_ms: When the broker appended it, in Unix milliseconds.
        announcement: The plan that it prepares.
    """

    offset: int
    appended_ms: int
    announcement: Announcement


@dataclass(frozen=True, slots=True)
class Unstaged:
    """The end of a staged version that is not wanted after all.

    Attributes:
        offset: Its own, on the announcement topic.
        appended_ms: When the broker appended it, in Unix milliseconds.
        model_name: The model of the staged version.
        staged_offset: Of what is staged no more.
        why: For people.
        event_id: Unique.
    """

    offset: int
    appended_ms: int
    model_name: str
    staged_offset: int
    why: str
    event_id: str


Entry = Plan | Void | Staged | Unstaged
"""What counts on the announcement topic."""


def last_plan(entries: Iterable[object]) -> Plan | None:
    """Return the newest plan, voided or not; None if there is none.

    Args:
        entries: In the order of their offsets; whatever else is among them is passed over.
    """
    found = None
    for one in entries:
        if isinstance(one, Plan):
            found = one
    return found


@dataclass(frozen=True, slots=True)
class PlanTable:
    """All plans of one model that are not voided, in the order of their offsets. Immutable.

    The plan in force at a time is the one with the highest offset whose effective time is not
    after it; before any is effective, the first plan.

    >>> v = lambda offset, at: Plan(offset, at, Announcement("m", "1", "", "", (), 1000, ""))
    >>> table = PlanTable().with_plan(v(0, 5_000)).with_plan(v(1, 9_000))
    >>> [table.at(t).offset for t in (0, 6_000, 9_999, 10_000)]
    [0, 0, 0, 1]
    >>> table.with_void(Void(2, 60_000, "m", 1, "nobody can load it", "")).at(10_000).offset
    0

    Attributes:
        plans: Those that are not voided.
        voids: What was voided, in the order in which it was.
        staged: What is staged now, None if nothing is.
    """

    plans: tuple[Plan, ...] = ()
    voids: tuple[Void, ...] = ()
    _starts: tuple[int, ...] = field(default=(), repr=False)
    _in_force: tuple[Plan, ...] = field(default=(), repr=False)
    staged: Staged | None = None

    @staticmethod
    def of(entries: Iterable[Entry]) -> "PlanTable":
        """Build the table of entries, whose offsets must rise.

        Raises:
            ValueError: An offset is not above the one before it, or a void names no plan.
        """
        ordered = tuple(entries)
        if any(later.offset <= entry.offset for entry, later in pairwise(ordered)):
            raise ValueError("plans and voids must be added in the order of their offsets")
        table = PlanTable()
        for entry in ordered:
            table = table.with_entry(entry)
        return table

    def with_entry(self, entry: Entry) -> "PlanTable":
        """Return the table with one more entry, whose offset is above all others.

        Raises:
            ValueError: It is a void that names no plan.
        """
        if isinstance(entry, Plan):
            return self.with_plan(entry)
        if isinstance(entry, Void):
            return self.with_void(entry)
        return replace(self, staged=entry if isinstance(entry, Staged) else None)

    def with_plan(self, plan: Plan) -> "PlanTable":
        """Return the table with one more plan, whose offset is above all others."""
        # An earlier plan counts only until a later one is effective.
        kept = bisect_left(self._starts, plan.effective_ms)
        return PlanTable(
            (*self.plans, plan),
            self.voids,
            (*self._starts[:kept], plan.effective_ms),
            # Records before every effective time take the first plan.
            (*(self._in_force[: kept + 1] or (plan,)), plan),
        )

    def with_void(self, void: Void) -> "PlanTable":
        """Return the table as if the voided plan had never been announced.

        Raises:
            ValueError: There is no such plan, or it is voided already.
        """
        kept = tuple(plan for plan in self.plans if plan.offset != void.voided_offset)
        if len(kept) == len(self.plans):
            raise ValueError(f"there is no plan at offset {void.voided_offset} to void")
        starts: list[int] = []
        in_force = list(kept[:1])
        for plan in kept:  # as `with_plan`, in place
            step = bisect_left(starts, plan.effective_ms)
            starts[step:] = [plan.effective_ms]
            in_force[step + 1 :] = [plan]
        voids = (*self.voids, void)
        return PlanTable(kept, voids, tuple(starts), tuple(in_force), self.staged)

    def covers(self, plan: Plan) -> tuple[int | None, int | None] | None:
        """Return the append times of the records that a plan serves, in Unix milliseconds.

        Returns:
            The first, and the one after the last; None for no bound. None for no record at all.
        """
        steps = [step for step, served in enumerate(self._in_force) if served is plan]
        if not steps:
            return None
        bounds = (None, *self._starts, None)
        return bounds[steps[0]], bounds[steps[-1] + 1]

    def due(self, now_ms: int, until_ms: int = _EVER) -> list[Plan]:
        """Return the plan in force now, and those that will be, until `until_ms` or ever."""
        first, last = (bisect_right(self._starts, time) for time in (now_ms, until_ms))
        return list(self._in_force[first : last + 1])

    def at(self, time_ms: int) -> Plan | None:
        """Return the plan in force at `time_ms` (Unix milliseconds), None if there is no plan."""
        if not self.plans:
            return None
        return self._in_force[bisect_right(self._starts, time_ms)]

    def segments(self, times_ms: Sequence[int]) -> "list[tuple[Plan, npt.NDArray[np.intp]]]":
        """Group the records of a batch by their plan.

        Args:
            times_ms: The append time of each record, in Unix milliseconds, in any order.

        Returns:
            For each plan that serves a record, the ascending indices of its records. Together
            they are each index once. Empty if there is no plan.
        """
        import numpy as np  # noqa: PLC0415 - not for who only looks

        if not self.plans or not times_ms:
            return []
        first, last = self.at(min(times_ms)), self.at(max(times_ms))
        if first is last and first is not None:  # by far the most frequent: no swap in this batch
            return [(first, np.arange(len(times_ms)))]
        step = np.searchsorted(self._starts, times_ms, side="right")
        return [(self._in_force[s], np.flatnonzero(step == s)) for s in np.unique(step)]
