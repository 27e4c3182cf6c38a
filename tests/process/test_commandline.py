"""The command line of a supervisor's children."""

import sys

import pytest

from hosting.exceptions import ConfigurationError
from hosting.process.commandline import child_arguments
from tests.processes import ROOT, Project
from tests.projects import declare, wait_for_fact

MANAGE = str(ROOT / "manage.py")


def given(monkeypatch: pytest.MonkeyPatch, arguments: str, program: str = MANAGE) -> None:
    """This process was started by that program with these arguments."""
    monkeypatch.setattr(sys, "argv", [program, *arguments.split()])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)


@pytest.mark.parametrize(
    ("arguments", "of_children"),
    [
        ("runworker --processes 4", "runworker"),
        ("runworker --processes=4", "runworker"),
        ("runworker --proc 4 --only a b", "runworker --only a b"),
        ("runworker --only a --pr=4 --max-jobs 3", "runworker --only a --max-jobs 3"),
        ("runworker --pythonpath p --processes 4 -v 2", "runworker --pythonpath p -v 2"),
        ("runworker --processes 2 --processes 4", "runworker"),
        ("of-its-own --processes 4", "of-its-own"),
    ],
)
def test_is_the_same_but_for_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch, arguments: str, of_children: str
) -> None:
    given(monkeypatch, arguments)
    made = child_arguments()

    assert made[0] == sys.executable
    assert made[made.index(MANAGE) + 1 :] == [*of_children.split(), "--no-reload"]


def test_keeps_the_options_of_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "warnoptions", ["error"])
    monkeypatch.setitem(sys._xoptions, "dev", True)
    given(monkeypatch, "runworker --processes 4")

    assert {"-Werror", "-Xdev"} <= set(child_arguments())


@pytest.mark.parametrize(
    ("options", "of_children"),
    [
        ("manage.py", ""),
        ("-O -u manage.py", "-O -u"),
        ("-OOu manage.py -B", "-O -O -u"),
        ("-W error -X dev -I -Wignore -Xutf8 -B manage.py", "-I -B"),
        ("-OW error -sX dev -E manage.py", "-O -s -E"),
        ("-um django -B", "-u"),
        ("-u -mdjango -B", "-u"),
        ("-i -u manage.py", "-u"),
        ("-b --check-hash-based-pycs always -q manage.py", "-b --check-hash-based-pycs always -q"),
        ("-u -- -O manage.py", "-u"),
        ("-u -", "-u"),
    ],
)
def test_keeps_the_flags_of_the_interpreter(
    monkeypatch: pytest.MonkeyPatch, options: str, of_children: str
) -> None:
    """A project that runs without its assertions does so in every process."""
    own = "runworker --processes 4"
    monkeypatch.setattr(sys, "orig_argv", ["python", *options.split(), *own.split()])
    monkeypatch.setattr(sys, "warnoptions", [])
    monkeypatch.setattr(sys, "_xoptions", {})
    given(monkeypatch, own)
    made = child_arguments()

    assert made == [sys.executable, *of_children.split(), MANAGE, "runworker", "--no-reload"]


@pytest.mark.process
@pytest.mark.parametrize("program", ["manage.py", "-m django"])
def test_children_have_the_interpreter_of_their_supervisor(project: Project, program: str) -> None:
    process = project.start(
        *("runworker", "--processes", "1"),
        program=("-O", "-u", *program.split()),
        env={**declare("Optimized"), "PYTHONUNBUFFERED": None},
    )
    wait_for_fact(process, "Optimized without assertions, unbuffered")
    process.terminate()
    assert process.wait_all_gone() == 0


def test_must_say_how_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each child would be a supervisor as well, without an end."""
    given(monkeypatch, "other --command")

    with pytest.raises(ConfigurationError, match=r"found '.* other --command', allowed: one like"):
        child_arguments()


def test_must_be_of_a_program_that_can_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, "runworker --processes 4", program="-c")

    with pytest.raises(ConfigurationError, match="cannot start this program again: Script -c"):
        child_arguments()
