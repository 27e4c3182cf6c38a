"""The service, and what people do with schedules from outside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hosting import CancellationToken, ConfigurationError, Scheduler, UnknownSchedule
from hosting.checks import check_hosting
from hosting.compat import TaskResultStatus
from hosting.models import Job, Schedule, ScheduleSlot
from hosting.queues.schedules import pause_schedule, resume_schedule, run_schedule
from hosting.queues.scheduling.keeper import LOOK
from hosting.testing import started
from tests.queues.conftest import until
from tests.queues.scheduling.conftest import TASKS, jobs, make_schedule, slots

#: Seconds in which something happens that a sleeping scheduler would not do.
AT_ONCE = LOOK / 2


def declare(settings: Any, **entries: Any) -> None:
    settings.HOSTING = {"SCHEDULE": entries}


@pytest.mark.django_db(transaction=True)
class TestService:
    def test_what_is_declared_is_enqueued_again_and_again(self, settings: Any) -> None:
        declare(settings, often={"TASK": f"{TASKS}.add", "INTERVAL": 0.1, "ARGS": [1]})
        service = Scheduler()
        with started(service):
            until(lambda: len(jobs()) >= 3)
        found = slots("often")
        assert found == pytest.approx([0.1 * number for number in range(1, len(found) + 1)])
        assert len(found) == len(jobs()) == service.facts()["enqueued"]
        assert service.facts()["schedules"] == 1

    def test_two_of_them_do_it_once(self, settings: Any) -> None:
        declare(settings, often={"TASK": f"{TASKS}.nothing", "INTERVAL": 0.1})
        both = [Scheduler(), Scheduler()]
        with started(*both):
            until(lambda: len(jobs()) >= 6)
        found = slots("often")
        assert found == pytest.approx([0.1 * number for number in range(1, len(found) + 1)])
        assert len(found) == len(jobs()) == sum(each.facts()["enqueued"] for each in both)

    def test_a_change_in_its_process_wakes_it_at_once(self) -> None:
        make_schedule("paused", interval=0.1, is_paused=True)
        make_schedule("first", ago=3602)
        with started(Scheduler()):
            until(lambda: slots("first"))  # from now on it sleeps
            resume_schedule("paused")
            until(lambda: slots("paused"), AT_ONCE)

    def test_one_that_cannot_be_is_logged_and_stops_no_other(
        self, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        declare(
            settings,
            bad={"TASK": f"{TASKS}.gone", "INTERVAL": 0.1},
            good={"TASK": f"{TASKS}.nothing", "INTERVAL": 0.1},
        )
        settings.HOSTED_SERVICES = ["hosting.Scheduler"]
        with started(Scheduler()):
            until(lambda: len(jobs()) >= 2)
        [error] = check_hosting()
        said = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
        assert said == [error.msg]
        assert [row.name for row in Schedule.objects.all()] == ["good"]


def test_without_a_backend_it_cannot_run(settings: Any) -> None:
    settings.TASKS = {}
    with pytest.raises(ConfigurationError, match="TASKS has no backend whose BACKEND is"):
        Scheduler().execute(CancellationToken())


@pytest.mark.django_db
class TestRunNow:
    def test_a_job_is_enqueued_besides_the_slots(self) -> None:
        row = make_schedule(ago=100, task_path=f"{TASKS}.add", args="[3]", is_paused=True)
        result = run_schedule("regular")
        assert result.status == TaskResultStatus.READY
        job = Job.objects.get(id=result.id)
        assert (job.task_path, json.loads(job.args)) == (f"{TASKS}.add", [3])
        assert str(ScheduleSlot.objects.get().job_id) == result.id
        assert Schedule.objects.get().handled_until == row.handled_until

    def test_a_name_that_is_not_known_is_an_error_that_lists_those_that_are(self) -> None:
        make_schedule("a")
        make_schedule("b")
        for function in (run_schedule, pause_schedule, resume_schedule):
            with pytest.raises(UnknownSchedule) as caught:
                function("c")
            assert str(caught.value) == "There is no schedule 'c', known: 'a', 'b'."

    def test_one_that_cannot_be_is_an_error_that_says_why(self) -> None:
        make_schedule(task_path=f"{TASKS}.gone")
        with pytest.raises(ValueError, match=f"task is '{TASKS}.gone', allowed:"):
            run_schedule("regular")
        assert ScheduleSlot.objects.count() == 0
