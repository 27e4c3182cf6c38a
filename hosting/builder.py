"""The composition root: from the project's declaration to a host that is ready to start."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial

from hosting.conf import WORKER, Declaration, HostingSettings, ServiceEntry, load
from hosting.conf.problems import allowed_names
from hosting.exceptions import ConfigurationError
from hosting.fleet import FleetReporter
from hosting.host import Host
from hosting.leadership.election import Election
from hosting.leadership.singleton import SingletonService
from hosting.remote import Remote
from hosting.services import HostedService
from hosting.supervision import Policy, SupervisedService


def build_host(
    kind: str,
    *,
    only: Collection[str] = (),
    exclude: Collection[str] = (),
    extra: Mapping[str, HostedService] | None = None,
) -> Host:
    """The host of a process of this kind ("web" or "worker").

    `only` and `exclude` choose among its services by NAME; `extra`, by name, are started last.
    Raises `ConfigurationError` listing what is wrong with the settings or names; starts nothing.
    """
    declaration = load()
    entries = choose(declaration, kind, only, exclude)
    # Names with a colon are the host's own: no entry may have one.
    own: dict[str, HostedService] = {
        "hosting:fleet": FleetReporter(kind, lambda: host.services()[1:], Remote(lambda: host))
    }
    election = Election(declaration.settings.lease_timeout)
    if any(entry.singleton for entry in entries):
        own["hosting:leases"] = election
    host = Host(
        [
            *_all_supervised(own),
            *(_supervised(entry, declaration.settings, election) for entry in entries),
            *_all_supervised(extra or {}),
        ],
        declaration.settings,
        kind=kind,
        stop_on_failure=kind == WORKER,
    )
    return host


def choose(
    declaration: Declaration, kind: str, only: Collection[str], exclude: Collection[str]
) -> list[ServiceEntry]:
    """What this kind of process hosts.

    Raises `ConfigurationError` if a name is unknown, or if the choice leaves nothing over.
    """
    entries = declaration.hosted_in(kind)
    names = [entry.name for entry in entries]
    for name in (*only, *exclude):
        if name not in names:
            known = allowed_names(name, names)
            raise ConfigurationError(f"No service named {name!r} runs in a {kind}, {known}.")
    chosen = [
        entry for entry in entries if (not only or entry.name in only) and entry.name not in exclude
    ]
    if entries and not chosen:
        listed = ", ".join(map(repr, names))
        raise ConfigurationError(
            f"No service is left: of those that run in a {kind}, {listed}, --only and --exclude "
            "choose none, allowed: a choice of one or more."
        )
    return chosen


def _all_supervised(services: Mapping[str, HostedService]) -> Iterator[SupervisedService]:
    return (SupervisedService(service, name) for name, service in services.items())


def _supervised(
    entry: ServiceEntry, settings: HostingSettings, election: Election
) -> SupervisedService:
    policy = Policy(
        restart=entry.restart,
        stop_timeout=entry.stop_timeout,
        max_restarts=settings.max_restarts,
        restart_period=settings.restart_period,
        watchdog=entry.watchdog,
    )
    make = partial(_construct, entry)
    supervised = (
        SingletonService(make, entry.name, policy, election, settings)
        if entry.singleton
        else SupervisedService(make(), entry.name, policy)
    )
    supervised.again = partial(_supervised, entry, settings, election)
    return supervised


def _construct(entry: ServiceEntry) -> HostedService:
    try:
        return entry.service_class(**entry.options)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigurationError(
            f"{entry.where}: {entry.path} cannot be constructed: {reason}"
        ) from error
