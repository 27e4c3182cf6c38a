"""Every bad setting is one clear line, the same in `check` and at start-up, and starts nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import Error

from hosting.builder import build_host
from hosting.checks import check_hosting
from hosting.conf import judge, load
from hosting.exceptions import ConfigurationError
from hosting.process.facts import explicit_wish
from tests.conf.conftest import Declare

HERE = "tests.conf.samples"
ALPHA = f"{HERE}.Alpha"
HUGE = 10**400


@dataclass
class Bad:
    """A bad setting: the entry or key that is named, and the words that say what and why."""

    case: str
    words: list[str]
    services: Any = ()
    hosting: Any = None
    shipped: Any = ()
    where: str = "HOSTED_SERVICES[0]"
    id: str = field(default="")


def entry(case: str, words: list[str], problem_id: str, raw: Any, **more: Any) -> Bad:
    """One bad entry of HOSTED_SERVICES."""
    return Bad(case, words, services=[raw], id=problem_id, **more)


def alpha(case: str, words: list[str], problem_id: str, **keys: Any) -> Bad:
    """An entry of a good service with bad keys."""
    return entry(case, words, problem_id, {"SERVICE": ALPHA, **keys})


def options(case: str, words: list[str], service: str, **given: Any) -> Bad:
    """An entry whose OPTIONS are bad."""
    path = service if "." in service else f"{HERE}.{service}"
    return entry(case, words, "hosting.E009", {"SERVICE": path, "OPTIONS": given})


def hosting(case: str, words: list[str], problem_id: str, raw: Any) -> Bad:
    """A bad HOSTING."""
    return Bad(case, words, hosting=raw, where="HOSTING", id=problem_id)


QUEUED = "hosting.QueuedHostedService"
SEVEN_KEYS = ["'SERVICE'", "'NAME'", "'OPTIONS'", "'RUN_IN'", "'RESTART'", "'STOP_TIMEOUT'"]

BAD = [
    # The list
    Bad(
        "list None",
        ["is None", "a list"],
        services=None,
        where="HOSTED_SERVICES",
        id="hosting.E001",
    ),
    Bad("list str", [f"is '{ALPHA}'"], services=ALPHA, where="HOSTED_SERVICES", id="hosting.E001"),
    Bad("list dict", ["is {"], services={"a": ALPHA}, where="HOSTED_SERVICES", id="hosting.E001"),
    Bad("list set", ["is {"], services={ALPHA}, where="HOSTED_SERVICES", id="hosting.E001"),
    # The entry
    entry("entry None", ["is None", "a dotted path or a dict"], "hosting.E002", None),
    entry("entry number", ["is 5"], "hosting.E002", 5),
    entry("entry tuple", ["is ("], "hosting.E002", (ALPHA, {})),
    entry("entry class", ["is <class"], "hosting.E002", Bad),
    # Its keys
    alpha("unknown key", ["unknown key 'SPEED'", *SEVEN_KEYS], "hosting.E003", SPEED=1),
    alpha("near-miss key", ["'OPTION'", "did you mean 'OPTIONS'?"], "hosting.E003", OPTION={}),
    alpha(
        "lower-case key", ["'restart'", "did you mean 'RESTART'?"], "hosting.E003", restart="never"
    ),
    entry("key not a str", ["unknown key 5"], "hosting.E003", {"SERVICE": ALPHA, 5: 1}),
    entry("no SERVICE", ["'SERVICE' is missing"], "hosting.E004", {"NAME": "a"}),
    entry("empty dict", ["'SERVICE' is missing"], "hosting.E004", {}),
    # SERVICE
    entry("empty path", ["SERVICE is ''", "dotted path"], "hosting.E005", ""),
    entry("no dots", ["SERVICE is 'Alpha'", "dotted path"], "hosting.E005", "Alpha"),
    entry("path with a space", ["dotted path"], "hosting.E005", f"{HERE} Alpha"),
    entry("path with a colon", ["dotted path"], "hosting.E005", f"{HERE}:Alpha"),
    entry("SERVICE None", ["SERVICE is None"], "hosting.E005", {"SERVICE": None}),
    entry("SERVICE class", ["SERVICE is <class"], "hosting.E005", {"SERVICE": Bad}),
    entry("missing module", ["No module named 'nowhere'"], "hosting.E006", "nowhere.Alpha"),
    entry("missing submodule", ["tests.conf.nowhere"], "hosting.E006", "tests.conf.nowhere.Alpha"),
    entry("missing attribute", ["Alfa"], "hosting.E006", f"{HERE}.Alfa"),
    entry(
        "broken module", ["RuntimeError: half a module"], "hosting.E006", "tests.conf.broken.Alpha"
    ),
    entry(
        "not a class",
        ["is <function", "subclass of hosting.HostedService"],
        "hosting.E008",
        f"{HERE}.function",
    ),
    entry("a number", ["is 5"], "hosting.E008", f"{HERE}.number"),
    entry("None found", ["is None"], "hosting.E008", "tests.conf.test_bad_settings.NOTHING"),
    entry("not a service", ["NotAService"], "hosting.E008", f"{HERE}.NotAService"),
    entry("abstract", ["does not define execute()"], "hosting.E008", f"{HERE}.Abstract"),
    entry("a base class", ["does not define tick()"], "hosting.E008", "hosting.TimedService"),
    # NAME
    alpha("NAME empty", ["NAME is ''", "letters"], "hosting.E007", NAME=""),
    alpha("NAME None", ["NAME is None"], "hosting.E007", NAME=None),
    alpha("NAME with a space", ["NAME is 'a b'"], "hosting.E007", NAME="a b"),
    alpha("NAME with a newline", ["NAME is"], "hosting.E007", NAME="a\n"),
    alpha("NAME too long", ["1 to 64"], "hosting.E007", NAME="a" * 65),
    alpha(
        "NAME of a kind of our own",
        ["NAME is 'hosting:fleet'"],
        "hosting.E007",
        NAME="hosting:fleet",
    ),
    # OPTIONS
    alpha("OPTIONS list", ["OPTIONS is [1]", "a dict"], "hosting.E009", OPTIONS=[1]),
    alpha("OPTIONS None", ["OPTIONS is None"], "hosting.E009", OPTIONS=None),
    alpha("OPTIONS keys", ["OPTIONS is {5: 1}"], "hosting.E009", OPTIONS={5: 1}),
    options("option where there is none", ["'x'", "allowed: no options"], "Alpha", x=1),
    options("unknown option", ["'urls'", "did you mean 'url'?"], "Configured", url="x", urls=1),
    options("missing option", ["'url'", "'retries'"], "Configured"),
    options("interval 0", ["interval is 0", "more than 0"], "Timed", interval=0),
    options("interval negative", ["interval is -1"], "Timed", interval=-1),
    options("interval nan", ["interval is nan"], "Timed", interval=float("nan")),
    options("interval infinite", ["interval is inf"], "Timed", interval=float("inf")),
    options("interval huge", ["interval is 1000", "finite"], "Timed", interval=HUGE),
    options("interval True", ["interval is True", "timedelta"], "Timed", interval=True),
    options("interval str", ["interval is '5'"], "Timed", interval="5"),
    options("interval timedelta", ["more than 0"], "Timed", interval=timedelta(0)),
    options("interval and cron", ["found both"], "Timed", interval=5, cron="* * * * *"),
    options("neither", ["found neither"], "Unset"),
    options("cron words", ["cron is 'daily'", "five fields"], "Timed", cron="daily"),
    options("cron out of range", ["cron is '61 * * * *'"], "Timed", cron="61 * * * *"),
    options("cron never due", ["cron is '0 0 31 2 *'"], "Timed", cron="0 0 31 2 *"),
    options("cron number", ["cron is 5"], "Timed", cron=5),
    options("scoped interval 0", ["interval is 0"], "Scoped", interval=0),
    options("scoped interval str", ["interval is '5'"], "Scoped", interval="5"),
    options("scoped interval empty", ["interval is ''"], "Scoped", interval=""),
    options("scoped cron", ["'cron'", "allowed: 'interval'"], "Scoped", cron="* * * * *"),
    options("concurrency 0", ["concurrency is 0"], QUEUED, concurrency=0),
    options("concurrency str", ["concurrency is '2'", "a whole number"], QUEUED, concurrency="2"),
    options("queue path", ["'nowhere.queue'", "cannot be imported"], QUEUED, queue="nowhere.queue"),
    options("queue not one", ["a BackgroundTaskQueue"], QUEUED, queue=f"{HERE}.number"),
    options("own judge", ["size is 0"], "Judging", size=0),
    options("own judge that fails", ["'many'"], "Judging", size="many"),
    # The other keys
    alpha("RUN_IN unknown", ["RUN_IN is 'cron'", "'web', 'worker'"], "hosting.E010", RUN_IN="cron"),
    alpha("RUN_IN near", ["did you mean 'worker'?"], "hosting.E010", RUN_IN=["workers"]),
    alpha("RUN_IN empty", ["RUN_IN is []"], "hosting.E010", RUN_IN=[]),
    alpha("RUN_IN None", ["RUN_IN is None"], "hosting.E010", RUN_IN=None),
    alpha("RUN_IN dict in list", ["RUN_IN is [{}]"], "hosting.E010", RUN_IN=[{}]),
    alpha(
        "RESTART unknown",
        ["RESTART is 'sometimes'", "'never'"],
        "hosting.E011",
        RESTART="sometimes",
    ),
    alpha("RESTART near", ["did you mean 'on-failure'?"], "hosting.E011", RESTART="on_failure"),
    alpha("RESTART True", ["RESTART is True"], "hosting.E011", RESTART=True),
    alpha(
        "STOP_TIMEOUT 0",
        ["STOP_TIMEOUT is 0", "more than 0", "None"],
        "hosting.E012",
        STOP_TIMEOUT=0,
    ),
    alpha("STOP_TIMEOUT negative", ["STOP_TIMEOUT is -1"], "hosting.E012", STOP_TIMEOUT=-1),
    alpha("STOP_TIMEOUT str", ["STOP_TIMEOUT is '5'"], "hosting.E012", STOP_TIMEOUT="5"),
    alpha(
        "STOP_TIMEOUT infinite", ["STOP_TIMEOUT is inf"], "hosting.E012", STOP_TIMEOUT=float("inf")
    ),
    alpha("STOP_TIMEOUT huge", ["STOP_TIMEOUT is 1000"], "hosting.E012", STOP_TIMEOUT=HUGE),
    alpha("WATCHDOG 0", ["WATCHDOG is 0", "more than 0", "None"], "hosting.E017", WATCHDOG=0),
    alpha("WATCHDOG str", ["WATCHDOG is '30'"], "hosting.E017", WATCHDOG="30"),
    alpha(
        "watchdog of the class",
        ["watchdog of Watched is '1 minute'", "more than 0"],
        "hosting.E017",
        SERVICE="tests.conf.samples.Watched",
    ),
    alpha("SINGLETON", ["SINGLETON is 'yes'", "True or False"], "hosting.E013", SINGLETON="yes"),
    alpha("ENABLED", ["ENABLED is 'no'", "True or False"], "hosting.E014", ENABLED="no"),
    alpha("ENABLED 0", ["ENABLED is 0"], "hosting.E014", ENABLED=0),
    # Names among each other
    Bad(
        "the same class twice",
        ["NAME 'Alpha' is taken by HOSTED_SERVICES[0]", "set NAME"],
        services=[ALPHA, ALPHA],
        where="HOSTED_SERVICES[1]",
        id="hosting.E015",
    ),
    Bad(
        "the same NAME twice",
        ["NAME 'a' is taken by HOSTED_SERVICES[0]"],
        services=[{"SERVICE": ALPHA, "NAME": "a"}, {"SERVICE": f"{HERE}.Beta", "NAME": "a"}],
        where="HOSTED_SERVICES[1]",
        id="hosting.E015",
    ),
    Bad(
        "two apps ship one NAME",
        ["NAME 'Alpha' is taken by MessagesAppConfig.hosted_services[0]"],
        shipped=[ALPHA, ALPHA],
        where="MessagesAppConfig.hosted_services[1]",
        id="hosting.E015",
    ),
    Bad(
        "switched off twice",
        ["NAME 'Alpha' is taken by HOSTED_SERVICES[0]"],
        services=[{"NAME": "Alpha", "ENABLED": False}] * 2,
        shipped=[ALPHA],
        where="HOSTED_SERVICES[1]",
        id="hosting.E015",
    ),
    entry(
        "switch of nothing",
        ["'a'", "allowed: none"],
        "hosting.E016",
        {"NAME": "a", "ENABLED": False},
    ),
    Bad(
        "switch of unknown",
        ["no app ships a service named 'Alfa'", "did you mean 'Alpha'?"],
        services=[{"NAME": "Alfa", "ENABLED": False}],
        shipped=[ALPHA],
        id="hosting.E016",
    ),
    entry(
        "switch with a bad ENABLED",
        ["ENABLED is 'no'"],
        "hosting.E014",
        {"NAME": "a", "ENABLED": "no"},
    ),
    entry("switch with a bad NAME", ["NAME is 5"], "hosting.E007", {"NAME": 5, "ENABLED": False}),
    # What apps ship
    Bad(
        "shipped str",
        [f"is '{ALPHA}'"],
        shipped=ALPHA,
        where="MessagesAppConfig.hosted_services",
        id="hosting.E001",
    ),
    Bad(
        "shipped None",
        ["is None"],
        shipped=None,
        where="MessagesAppConfig.hosted_services",
        id="hosting.E001",
    ),
    Bad(
        "shipped bad key",
        ["'SPEED'"],
        shipped=[{"SERVICE": ALPHA, "SPEED": 1}],
        where="MessagesAppConfig.hosted_services[0]",
        id="hosting.E003",
    ),
    Bad(
        "shipped switch",
        ["'SERVICE' is missing"],
        shipped=[{"NAME": "a", "ENABLED": False}],
        where="MessagesAppConfig.hosted_services[0]",
        id="hosting.E004",
    ),
    # HOSTING
    hosting("HOSTING list", ["is []", "a dict"], "hosting.E020", []),
    hosting("HOSTING str", ["is 'auto'", "a dict"], "hosting.E020", "auto"),
    hosting("HOSTING unknown key", ["'SPEED'", "'AUTOSTART'"], "hosting.E021", {"SPEED": 1}),
    hosting(
        "HOSTING near-miss key",
        ["did you mean 'SHUTDOWN_TIMEOUT'?"],
        "hosting.E021",
        {"SHUTDOWN_TIME": 5},
    ),
    hosting("HOSTING key not a str", ["unknown key 5"], "hosting.E021", {5: 5}),
    hosting(
        "AUTOSTART",
        ["AUTOSTART is 'maybe'", '"auto", True or False'],
        "hosting.E022",
        {"AUTOSTART": "maybe"},
    ),
    hosting("AUTOSTART number", ["AUTOSTART is 1"], "hosting.E022", {"AUTOSTART": 1}),
    hosting("AUTOSTART None", ["AUTOSTART is None"], "hosting.E022", {"AUTOSTART": None}),
    hosting(
        "STARTUP_TIMEOUT 0",
        ["STARTUP_TIMEOUT is 0", "None"],
        "hosting.E022",
        {"STARTUP_TIMEOUT": 0},
    ),
    hosting(
        "STARTUP_TIMEOUT str", ["STARTUP_TIMEOUT is '5'"], "hosting.E022", {"STARTUP_TIMEOUT": "5"}
    ),
    hosting(
        "SHUTDOWN_TIMEOUT",
        ["SHUTDOWN_TIMEOUT is -1", "0 or more"],
        "hosting.E022",
        {"SHUTDOWN_TIMEOUT": -1},
    ),
    hosting(
        "SHUTDOWN_TIMEOUT None",
        ["SHUTDOWN_TIMEOUT is None"],
        "hosting.E022",
        {"SHUTDOWN_TIMEOUT": None},
    ),
    hosting(
        "SHUTDOWN_TIMEOUT nan",
        ["SHUTDOWN_TIMEOUT is nan"],
        "hosting.E022",
        {"SHUTDOWN_TIMEOUT": float("nan")},
    ),
    hosting(
        "SHUTDOWN_TIMEOUT huge",
        ["SHUTDOWN_TIMEOUT is 1000"],
        "hosting.E022",
        {"SHUTDOWN_TIMEOUT": HUGE},
    ),
    hosting(
        "SHUTDOWN_TIMEOUT True",
        ["SHUTDOWN_TIMEOUT is True"],
        "hosting.E022",
        {"SHUTDOWN_TIMEOUT": True},
    ),
    hosting(
        "START_CONCURRENTLY", ["START_CONCURRENTLY is 1"], "hosting.E022", {"START_CONCURRENTLY": 1}
    ),
    hosting(
        "STOP_CONCURRENTLY",
        ["STOP_CONCURRENTLY is 'yes'"],
        "hosting.E022",
        {"STOP_CONCURRENTLY": "yes"},
    ),
    hosting(
        "MAX_RESTARTS",
        ["MAX_RESTARTS is -1", "a whole number"],
        "hosting.E022",
        {"MAX_RESTARTS": -1},
    ),
    hosting("MAX_RESTARTS float", ["MAX_RESTARTS is 1.5"], "hosting.E022", {"MAX_RESTARTS": 1.5}),
    hosting(
        "RESTART_PERIOD",
        ["RESTART_PERIOD is 0", "more than 0"],
        "hosting.E022",
        {"RESTART_PERIOD": 0},
    ),
    *(
        hosting(
            f"LEASE_TIMEOUT {value!r}",
            [f"LEASE_TIMEOUT is {value!r}, allowed: a number of seconds, 1 to 86400"],
            "hosting.E022",
            {"LEASE_TIMEOUT": value},
        )
        for value in (0.5, 86_401, 1e300, float("inf"), float("nan"), True)
    ),
]

NOTHING = None


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.case)
def test_a_bad_setting_is_one_line_everywhere_and_starts_nothing(
    declare: Declare, nothing_made: list[str], bad: Bad
) -> None:
    declare(bad.services, bad.hosting, bad.shipped)
    [message] = check_hosting()
    text = str(message.msg)
    assert isinstance(message, Error)
    assert message.id == bad.id
    assert text.startswith((f"{bad.where}: ", f"{bad.where} (")), text
    for word in bad.words:
        assert word in text
    assert "\n" not in text
    assert text.endswith((".", "?"))

    with pytest.raises(ConfigurationError) as caught:
        load()
    assert str(caught.value) == text
    for kind in ("web", "worker"):
        with pytest.raises(ConfigurationError) as caught:
            build_host(kind)
        assert str(caught.value) == text
    assert nothing_made == []


def test_there_are_no_two_cases_of_one_name() -> None:
    assert len({bad.case for bad in BAD}) == len(BAD) > 100


def test_every_problem_is_told_and_not_only_the_first(declare: Declare) -> None:
    declare(
        [{"SERVICE": ALPHA, "RESTART": "no", "SPEED": 1}, 5, f"{HERE}.Beta"],
        {"AUTOSTART": "maybe"},
        [None],
    )
    found = [message.msg for message in check_hosting()]
    assert len(found) == 5
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert str(caught.value).split("\n") == found


def test_what_is_sound_is_read_beside_what_is_not(declare: Declare) -> None:
    declare([5, ALPHA])
    declaration, problems = judge()
    assert [service.name for service in declaration.services] == ["Alpha"]
    assert len(problems) == 1


def test_a_constructor_that_fails_is_a_problem_of_its_entry(
    declare: Declare, nothing_made: list[str]
) -> None:
    """No check can know it: a check constructs nothing."""
    declare([ALPHA, f"{HERE}.Fussy"])
    assert check_hosting() == []
    with pytest.raises(ConfigurationError, match=r"HOSTED_SERVICES\[1\].*LookupError: no such"):
        build_host("worker")
    assert nothing_made in ([], ["Alpha"])


@pytest.mark.parametrize("value", ["maybe", "2", "tru", "-1"])
def test_the_environment_is_judged_too(
    declare: Declare, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    declare()
    monkeypatch.setenv("HOSTING_AUTOSTART", value)
    [message] = check_hosting()
    assert message.id == "hosting.E023"
    for word in ("HOSTING_AUTOSTART", repr(value), "auto, 1 or 0"):
        assert word in message.msg
    with pytest.raises(ConfigurationError) as caught:
        explicit_wish({"HOSTING_AUTOSTART": value})
    assert str(caught.value) == message.msg


def test_a_stop_timeout_beyond_the_budget_is_a_warning(declare: Declare) -> None:
    """It does no harm, but is not what somebody had in mind."""
    declare([{"SERVICE": ALPHA, "STOP_TIMEOUT": 10}])
    [message] = check_hosting()
    assert message.id == "hosting.W001"
    for word in ("HOSTED_SERVICES[0]", "STOP_TIMEOUT is 10", "SHUTDOWN_TIMEOUT", "is 5"):
        assert word in message.msg
    load()
