"""`manage.py check` and the start of a worker say the same about wrong settings."""

from typing import Any

import pytest
from django.core import checks

from hosting.checks import check_hosting
from hosting.conf import judge
from tests.processes import Project
from tests.projects import declare, events

WRONG: dict[str, Any] = {
    "HOSTED_SERVICES": [
        "nowhere.Service",
        "tests.projects.services.Recorder",
        {"SERVICE": "tests.projects.services.Recorder", "RESTRAT": "never"},
        {"SERVICE": "tests.projects.services.Second", "OPTIONS": {"stop_secs": 1}},
    ],
    "HOSTING": {"SHUTDOWN_TIMEOUT": "long", "AUTOSTAT": True},
}


def test_sound_settings_have_no_messages() -> None:
    assert check_hosting() == []


def test_each_problem_is_one_error_with_its_words_and_its_id(settings: Any) -> None:
    for name, value in WRONG.items():
        setattr(settings, name, value)
    problems = judge()[1]

    messages = check_hosting()

    assert [(message.id, message.msg) for message in messages] == [
        (problem.id, str(problem)) for problem in problems
    ]
    assert len(messages) == 5
    assert all(message.level == checks.ERROR for message in messages)
    assert all("\n" not in message.msg for message in messages)


def test_a_wish_in_the_environment_that_is_not_understood_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOSTING_AUTOSTART", "maybe")

    [message] = check_hosting()

    assert message.id == "hosting.E023"
    assert message.msg.startswith("The environment variable HOSTING_AUTOSTART is 'maybe', allowed:")


@pytest.mark.process
class TestManagePy:
    def test_check_and_every_start_use_the_same_words(self, project: Project) -> None:
        env = declare(settings=WRONG)

        checked = project.run("check", env=env, code=1)
        started = {
            command: project.run(*command, env=env, code=1)
            for command in (
                ("runworker", "--no-reload", "--skip-checks"),
                ("runworker", "--reload", "--skip-checks"),
                ("hosted_services",),
                ("runserver", "127.0.0.1:0", "--noreload"),
            )
        }

        words = [
            line.partition(") ")[2] for line in checked.lines if line.startswith("?: (hosting.E")
        ]
        assert len(words) == 5
        for process in started.values():
            said = [line.removeprefix("CommandError: ") for line in process.lines]
            assert [word for word in words if word not in said] == [], process.output
            assert events(process) == []
            assert "Traceback" not in process.output

    def test_production_settings_are_clean(self, project: Project) -> None:
        env = dict.fromkeys(
            ("DEBUG", "SECURE_SSL_REDIRECT", "SECURE_COOKIES", "SECURE_HSTS_SECONDS")
        )

        process = project.run("check", "--deploy", "--fail-level", "WARNING", env=env)

        assert process.lines == ["System check identified no issues (0 silenced)."]
