"""What a process knows of itself, whatever its script is called."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.management import ManagementUtility, call_command

from hosting.exceptions import ConfigurationError
from hosting.process.facts import explicit_wish, gather, management_command
from tests.processes import ROOT, Project
from tests.projects import declare


@pytest.mark.parametrize(
    ("argv", "command", "arguments"),
    [
        (["manage.py", "runserver", "8000"], "runserver", ("8000",)),
        (["./manage.py", "migrate"], "migrate", ()),
        (["/srv/shop/manage.py", "shell", "-c", "x"], "shell", ("-c", "x")),
        (["/usr/bin/django-admin", "check"], "check", ()),
        (["django-admin.py", "check"], "check", ()),
        (["/lib/django/__main__.py", "check", "--deploy"], "check", ("--deploy",)),
        (["manage.py"], "help", ()),
        (["gunicorn", "shop.wsgi"], None, ("shop.wsgi",)),
        (["/srv/__main__.py", "check"], None, ("check",)),
        (["-c"], None, ()),
        ([""], None, ()),
        ([], None, ()),
    ],
)
def test_the_management_command_of_a_command_line(
    argv: list[str], command: str | None, arguments: tuple[str, ...]
) -> None:
    assert management_command(argv) == (command, arguments)


class TestTheWish:
    @pytest.mark.parametrize(
        ("word", "wish"),
        [
            ("1", True),
            ("true", True),
            ("Yes", True),
            ("on", True),
            ("0", False),
            ("False", False),
            ("no", False),
            ("OFF", False),
            ("auto", None),
            ("", None),
        ],
    )
    @pytest.mark.parametrize("setting", [True, False, "auto"])
    def test_the_environment_beats_the_setting(
        self, settings: Any, word: str, wish: bool | None, setting: object
    ) -> None:
        settings.HOSTING = {"AUTOSTART": setting}

        assert explicit_wish({"HOSTING_AUTOSTART": word}) == (wish, "HOSTING_AUTOSTART")

    @pytest.mark.parametrize(
        ("setting", "wish"), [(True, True), (False, False), ("auto", None), ("0", False)]
    )
    def test_without_the_variable_the_setting_counts(
        self, settings: Any, setting: object, wish: bool | None
    ) -> None:
        settings.HOSTING = {"AUTOSTART": setting}

        assert explicit_wish({}) == (wish, 'HOSTING["AUTOSTART"]')

    def test_without_both_it_is_auto(self, settings: Any) -> None:
        del settings.HOSTING

        assert explicit_wish({})[0] is None

    def test_a_word_that_is_not_understood_is_an_error_that_says_so(self) -> None:
        with pytest.raises(ConfigurationError, match="HOSTING_AUTOSTART is 'maybe', allowed: "):
            explicit_wish({"HOSTING_AUTOSTART": "maybe"})


class TestGather:
    def test_in_a_program_that_is_no_management_command(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["/usr/bin/gunicorn", "shop.wsgi"])
        monkeypatch.setenv("HOSTING_AUTOSTART", "1")
        monkeypatch.delenv("RUN_MAIN", raising=False)

        facts = gather()

        assert (facts.program, facts.command) == ("gunicorn", None)
        assert (facts.autostart, facts.autostart_source) == (True, "HOSTING_AUTOSTART")
        assert facts.under_test
        assert not facts.reloader_child

    def test_a_reloaders_child_is_known_by_django_s_variable(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RUN_MAIN", "true")

        assert gather().reloader_child

    def test_a_wish_that_is_not_understood_is_a_fact_as_well(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOSTING_AUTOSTART", "maybe")

        facts = gather()

        assert facts.autostart is None
        assert facts.autostart_problem.startswith(
            "The environment variable HOSTING_AUTOSTART is 'maybe', allowed: "
        )

    @pytest.mark.django_db
    def test_a_command_called_from_code_is_not_what_the_process_runs(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["pytest"])
        # It would configure logging anew, on a stream that is closed after this test.
        monkeypatch.setattr(django, "setup", lambda: None)
        # Within `call_command` no command line is being executed, within `execute` one is.
        call_command("hosted_services", "--format", "json")
        assert json.loads(capsys.readouterr().out)["facts"]["command"] is None

        ManagementUtility(["shop", "hosted_services", "--format", "json"]).execute()
        assert json.loads(capsys.readouterr().out)["facts"]["command"] == "hosted_services"


@pytest.mark.process
@pytest.mark.parametrize("script", ["manage.py", "renamed", "django-admin", "python -m django"])
def test_a_real_process_knows_its_command_by_whatever_name(
    project: Project, tmp_path: Path, script: str
) -> None:
    renamed = tmp_path / "shop-admin"
    shutil.copy(ROOT / "manage.py", renamed)
    programs = {
        "manage.py": ("manage.py",),
        "renamed": (str(renamed),),
        "django-admin": (str(Path(sys.executable).with_name("django-admin")),),
        "python -m django": ("-m", "django"),
    }

    process = project.run(
        "hosted_services",
        "--format",
        "json",
        program=programs[script],
        env={**declare("Recorder"), "PYTHONPATH": os.fspath(ROOT)},
    )

    facts = json.loads(process.output)["facts"]
    assert facts["command"] == "hosted_services"
    assert facts["arguments"] == ["--format", "json"]
    assert not facts["under_test"]
