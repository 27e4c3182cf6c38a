"""What is due is enqueued exactly once, and one bad schedule harms no other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosting.models import Job, Schedule, ScheduleSlot
from hosting.queues.schedules import pause_schedule, resume_schedule
from hosting.queues.scheduling.desk import Desk
from hosting.queues.scheduling.keeper import LOOK, RETENTION, Keeper
from hosting.queues.scheduling.listing import list_schedules
from hosting.queues.stores import store_for
from tests.queues.scheduling.conftest import TASKS, jobs, make_schedule, move, slots, work_off

Make = Callable[..., Keeper]


@pytest.mark.django_db
class TestOneKeeper:
    def test_a_slot_gets_one_job_with_what_the_schedule_says(self, keeper: Make) -> None:
        make_schedule(
            ago=3605,
            task_path=f"{TASKS}.add",
            args="[1]",
            kwargs='{"b": 2}',
            queue_name="slow",
            priority=7,
        )
        one = keeper()
        one.round()
        one.round()
        [job] = Job.objects.all()
        assert (job.task_path, job.queue_name, job.rank) == (f"{TASKS}.add", "slow", -7)
        assert (json.loads(job.args), json.loads(job.kwargs)) == ([1], {"b": 2})
        [slot] = ScheduleSlot.objects.all()
        assert (slot.schedule, slot.job_id) == ("regular", job.id)
        assert slots() == [3600]
        assert (one.count, one.enqueued) == (1, 1)

    def test_nothing_comes_before_its_time(self, keeper: Make) -> None:
        make_schedule(ago=3595)
        pause = keeper().round()
        assert 3 < pause <= 5.03
        assert jobs() == []

    def test_it_sleeps_until_the_next_slot_and_at_most_for_one_look(self, keeper: Make) -> None:
        assert keeper().round() == LOOK
        make_schedule("late", ago=10)
        make_schedule("soon", ago=3597)
        assert keeper().round() < 3.1

    def test_a_look_at_schedules_that_are_not_due_is_one_statement(self, keeper: Make) -> None:
        for number in range(5):
            make_schedule(f"number-{number}")
        one = keeper()
        one.round()
        with CaptureQueriesContext(connection) as captured:
            one.round()
        assert len(captured) == 1

    @pytest.mark.parametrize(
        ("missed", "expected"),
        [("skip", []), ("once", [7200]), ("all", [3600, 7200])],
    )
    def test_missed_slots(self, keeper: Make, missed: str, expected: list[float]) -> None:
        make_schedule(ago=9000, missed=missed)
        work_off(keeper())
        assert slots() == expected
        assert len(jobs()) == len(expected)

    def test_slots_that_are_left_out_are_said_once(
        self, keeper: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        make_schedule(ago=9000, missed="skip")
        one = keeper()
        work_off(one)
        one.round()
        warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
        assert len(warnings) == 1
        assert warnings[0].startswith("Schedule 'regular': what was due from ")

    def test_a_long_row_of_missed_slots_comes_in_order(self, keeper: Make) -> None:
        make_schedule(ago=250.5, interval=1.0, missed="all", task_path=f"{TASKS}.note", args="[0]")
        work_off(keeper())
        found = slots()
        assert found == [float(each) for each in range(1, len(found) + 1)]
        assert len(found) >= 250
        in_order = ScheduleSlot.objects.order_by("slot").values_list("job_id", flat=True)
        assert list(map(str, in_order)) == jobs()

    def test_a_schedule_by_cron(self, keeper: Make) -> None:
        make_schedule(ago=100, cron="* * * * *", time_zone="Asia/Kathmandu")
        work_off(keeper())
        rows = list(ScheduleSlot.objects.values_list("slot", flat=True))
        assert 1 <= len(rows) <= 2
        assert all((row.second, row.microsecond) == (0, 0) for row in rows)

    def test_the_clock_of_the_process_does_not_count(
        self, keeper: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_schedule("not yet", ago=1800)
        make_schedule("now", ago=3602)
        later, moment = time.time() + 3600, timezone.now() + timedelta(hours=1)
        monkeypatch.setattr(time, "time", lambda: later)
        monkeypatch.setattr(timezone, "now", lambda: moment)
        work_off(keeper())
        assert (slots("not yet"), slots("now")) == ([], [3600])

    def test_a_mark_that_is_set_back_enqueues_nothing_again(self, keeper: Make) -> None:
        """The rows of the slots stand, whatever else is lost."""
        make_schedule(ago=120.5, interval=1.0, missed="all")
        work_off(keeper())
        before, found = jobs(), len(slots())
        since = Schedule.objects.get().since
        Schedule.objects.update(handled_until=since)
        work_off(keeper())
        assert jobs()[: len(before)] == before
        assert len(jobs()) == len(slots()) <= found + 5
        assert slots() == [float(each) for each in range(1, len(slots()) + 1)]


@pytest.mark.django_db
class TestClockThatIsSetBack:
    """As when the database was for a moment on a machine whose clock was ahead."""

    YEAR = 365 * 86_400.0

    @pytest.mark.parametrize("times", [{"interval": 3600.0}, {"cron": "0 * * * *"}])
    @pytest.mark.parametrize("is_new", [True, False])
    def test_a_schedule_goes_on_from_now_and_that_is_said_once(
        self, keeper: Make, caplog: pytest.LogCaptureFixture, times: dict[str, Any], is_new: bool
    ) -> None:
        row = make_schedule(ago=-self.YEAR, **times)
        if not is_new:
            Schedule.objects.update(since=row.since - timedelta(seconds=self.YEAR + 100))
        one = keeper()
        assert one.round() < 0.1
        for each in (one, one, keeper()):
            each.round()
        moved = Schedule.objects.get()
        assert abs(moved.handled_until - timezone.now()) < timedelta(minutes=1)
        assert moved.handled_until - moved.since < timedelta(seconds=101)
        warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
        assert len(warnings) == 1
        assert warnings[0].startswith("Schedule 'regular': it was to count from ")
        move("regular", 3700)
        one.round()
        assert len(jobs()) >= 1

    def test_no_slot_gets_a_second_job(self, keeper: Make) -> None:
        make_schedule(ago=200.9, interval=1.0, missed="all")
        one = keeper()
        work_off(one)
        before, back = jobs(), 90.5
        assert len(before) >= 200
        self.shift(back)
        work_off(one)
        assert jobs() == before
        self.shift(-back)
        work_off(one)
        assert jobs()[: len(before)] == before
        assert len(jobs()) == len(slots()) <= len(before) + 5
        assert slots() == [float(each) for each in range(1, len(slots()) + 1)]

    def shift(self, seconds: float) -> None:
        """Set the clock back by so many seconds, which are no whole ones."""
        move("regular", -seconds)
        ScheduleSlot.objects.update(slot=F("slot") + timedelta(seconds=seconds))

    @pytest.mark.parametrize(("use_tz", "ahead"), [(True, 50), (False, 3650)])
    def test_a_little_is_waited_for_and_the_hour_that_comes_twice(
        self, keeper: Make, settings: Any, use_tz: bool, ahead: float
    ) -> None:
        settings.USE_TZ = use_tz
        row = make_schedule(ago=-ahead)
        keeper().round()
        assert Schedule.objects.get().handled_until == row.handled_until


@pytest.mark.django_db
class TestPausing:
    def test_a_paused_schedule_enqueues_nothing_and_makes_up_for_nothing(
        self, keeper: Make
    ) -> None:
        make_schedule(missed="all")
        one = keeper()
        assert pause_schedule("regular") is True
        move("regular", 7300)
        one.round()
        assert jobs() == []
        assert resume_schedule("regular") is True
        work_off(one)
        assert jobs() == []
        move("regular", 3600)
        work_off(one)
        assert slots() == [10_800]

    def test_pausing_twice_changes_nothing(self) -> None:
        make_schedule(ago=100)
        assert resume_schedule("regular") is False
        before = Schedule.objects.get().handled_until
        assert (pause_schedule("regular"), pause_schedule("regular")) == (True, False)
        assert Schedule.objects.get().handled_until == before


@pytest.mark.django_db
class TestBadRows:
    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"cron": "99 * * * *"}, "cron is '99 * * * *', allowed: five fields"),
            ({"cron": "* * * * *", "time_zone": "Nowhere"}, "time_zone is 'Nowhere', allowed:"),
            ({"interval": -5.0}, "interval is -5.0, allowed:"),
            ({"cron": "* * * * *", "interval": 5.0}, "exactly one of cron and interval"),
            ({"task_path": f"{TASKS}.gone"}, f"task is '{TASKS}.gone', allowed: the dotted path"),
            ({"task_path": f"{TASKS}.ad"}, f"did you mean '{TASKS}.add'?"),
            ({"task_path": f"{TASKS}.plain_function"}, "it is a function"),
            ({"args": "[1"}, "args is '[1', allowed: a JSON list"),
            ({"kwargs": "[]"}, "kwargs is '[]', allowed: a JSON object"),
            ({"args": "[1, 2, 3]"}, "allowed: those of nothing() (too many positional"),
            ({"missed": "often"}, "missed is 'often', allowed: 'skip', 'once' or 'all'"),
            ({"priority": 200}, "priority is 200, allowed: a whole number from -100 to 100"),
        ],
    )
    def test_one_is_logged_once_and_stops_no_other(
        self, keeper: Make, caplog: pytest.LogCaptureFixture, values: dict[str, Any], words: str
    ) -> None:
        make_schedule("a good one", ago=3602)
        make_schedule("bad", **{"ago": 3602, **values})
        make_schedule("the other", ago=3602)
        one = keeper()
        one.round()
        one.round()
        assert (slots("a good one"), slots("bad"), slots("the other")) == ([3600], [], [3600])
        errors = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
        assert len(errors) == 1
        assert errors[0].startswith("Schedule 'bad': ")
        assert words in errors[0]

    @pytest.mark.parametrize("error", ["SystemExit", "GeneratorExit"])
    def test_one_whose_module_wants_out_is_as_any_that_cannot_be_imported(
        self,
        keeper: Make,
        caplog: pytest.LogCaptureFixture,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        error: str,
    ) -> None:
        """As a script without a `__main__` guard does; the scheduler is not its process."""
        (tmp_path / "a_script.py").write_text(f"raise {error}('bye')")
        monkeypatch.syspath_prepend(tmp_path)
        make_schedule(ago=3602, task_path="a_script.main")
        make_schedule("the other", ago=3602)
        keeper().round()
        assert slots("the other") == [3600]
        assert f"it cannot be imported ({error}: bye)" in caplog.text
        listed = {each.name: each.problem for each in list_schedules()}
        assert listed["the other"] is None
        assert f"({error}: bye)" in str(listed["regular"])

    def test_whoever_is_at_the_keyboard_is_heard_during_an_import(
        self, keeper: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "a_long_import.py").write_text("raise KeyboardInterrupt")
        monkeypatch.syspath_prepend(tmp_path)
        make_schedule(task_path="a_long_import.task")
        with pytest.raises(KeyboardInterrupt):
            keeper().round()

    def test_one_that_is_mended_goes_on(self, keeper: Make) -> None:
        make_schedule(ago=3602, args="[1, 2, 3]")
        one = keeper()
        one.round()
        Schedule.objects.update(args="[]")
        one.round()
        assert slots() == [3600]

    def test_one_whose_job_is_refused_is_logged_once_and_tried_again(
        self, keeper: Make, caplog: pytest.LogCaptureFixture, settings: Any
    ) -> None:
        large = json.dumps(["x" * 1_000_001])
        make_schedule(ago=3602, task_path=f"{TASKS}.note", args=large)
        one = keeper()
        assert one.round() > 0.9 * LOOK
        one.round()
        errors = [each for each in caplog.records if each.levelname == "ERROR"]
        assert len(errors) == 1
        assert "MAX_ARGUMENTS_BYTES" in errors[0].getMessage()
        assert jobs() == []
        assert Schedule.objects.get().handled_until < timezone.now() - timedelta(minutes=50)


@pytest.mark.django_db
class TestPruning:
    def test_old_slots_go_but_the_latest_of_each_schedule_stays(self, keeper: Make) -> None:
        make_schedule(ago=3602)
        old = timezone.now() - timedelta(seconds=RETENTION + 60)
        for name, days in [("regular", 3), ("regular", 2), ("gone", 2), ("gone", 1)]:
            slot = old - timedelta(days=days)
            make_slot(name, slot)
        keeper().round()
        left = ScheduleSlot.objects.order_by("slot").values_list("schedule", flat=True)
        assert list(left) == ["gone", "regular"]

    def test_one_batch_at_a_time(self) -> None:
        schedules = store_for("default").schedules
        old = timezone.now() - timedelta(days=40)
        for number in range(3):
            make_slot("a", old + timedelta(hours=number))
        assert schedules.prune(RETENTION) == 2
        assert schedules.prune(RETENTION) == 0


def make_slot(name: str, slot: Any) -> None:
    job_id = "00000000-0000-0000-0000-000000000001"
    ScheduleSlot.objects.create(schedule=name, slot=slot, job_id=job_id, enqueued_at=slot)


@pytest.mark.django_db(transaction=True)
class TestTogether:
    @pytest.mark.parametrize("without", ["nothing", "mark", "mark and lock"])
    def test_several_keepers_enqueue_one_job_for_each_slot(
        self, keeper: Make, in_threads: Callable[..., Any], without: str
    ) -> None:
        """They begin at the same moment, and race for every part of what was missed.

        Without mark and lock, it is the unique rows of the slots alone that stop them.
        """
        make_schedule(ago=330.5, interval=1.0, missed="all")
        make_schedule("other", ago=90.5, interval=1.0, missed="all", task_path=f"{TASKS}.fail")
        keepers = [keeper() for _ in range(4)]
        for each in keepers:
            schedules: Any = each._schedules
            if "mark" in without:
                schedules.advance = lambda *_: None
            if "lock" in without:
                schedules.claim = schedules.get
        in_threads(*(lambda each=each: [each.round() for _ in range(8)] for each in keepers))
        for name in ("regular", "other"):
            found = slots(name)
            assert found == [float(number) for number in range(1, len(found) + 1)]
        assert len(slots("other")) >= 90
        noted = ScheduleSlot.objects.values_list("job_id", flat=True)
        assert sorted(map(str, noted)) == sorted(jobs())

    def test_a_job_its_slot_and_the_mark_commit_together(self, keeper: Make) -> None:
        """A transaction that ends halfway leaves nothing, and the next look does it all."""
        row = make_schedule(ago=3602)
        one = keeper()

        class Interrupted(BaseException):
            pass

        def interrupt(*_: Any) -> None:
            assert jobs() != []
            raise Interrupted

        one._schedules.advance = interrupt  # type: ignore[method-assign]  # of this one
        with pytest.raises(Interrupted):
            one.round()
        assert (jobs(), slots()) == ([], [])
        assert Schedule.objects.get().handled_until == row.handled_until
        keeper().round()
        assert (len(jobs()), slots()) == (1, [3600])

    def test_a_database_that_is_away_is_said_once_and_then_caught_up_with(
        self, keeper: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        make_schedule(ago=9000)
        clock = iter(range(1000))
        desk = Desk("scheduler", keeper(), clock=lambda: float(next(clock) * 100))
        with renamed("hosting_schedule"):
            pauses = [desk.serve() for _ in range(3)]
        assert all(pause < LOOK for pause in pauses)
        desk.serve()
        assert slots() == [7200]
        said = [each.levelname for each in caplog.records if each.name.endswith("outage")]
        assert said == ["ERROR", "WARNING"]
        assert "manage.py migrate" in caplog.text


class renamed:  # noqa: N801  # reads as a statement
    """Have a table away for a while."""

    def __init__(self, table: str) -> None:
        self._table = table

    def __enter__(self) -> None:
        self._rename(self._table, f"{self._table}_away")

    def __exit__(self, *_: object) -> None:
        self._rename(f"{self._table}_away", self._table)

    def _rename(self, old: str, new: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")
