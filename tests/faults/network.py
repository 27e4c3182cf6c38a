"""Hosts of a network that is inside this machine: each with its address, its name, and its cable.

A host is a network namespace of Linux, which lives as long as a process in it does. The first of
these ends when its standard input is closed, so nothing is left of a network however the tests end,
and nothing of it is seen outside. Whoever is pulled from the switch hears nothing of it: its link
stays up, the others are known as before, and what is sent vanishes.
"""

import shutil
import subprocess
from contextlib import ExitStack
from pwd import getpwnam
from typing import Self
from urllib.parse import quote

from tests.faults.server import Server

#: Commands for a new switch, as `ip -batch` takes them.
SWITCH = """
link add name switch type bridge
link set dev switch up
"""

#: Commands of the switch, for a new host: its cable.
CABLE = """
link add name port{number} type veth peer name eth0 address {mac} netns {pid}
link set dev port{number} master switch up
"""

#: Commands of a new host.
LINK = """
link set dev lo up
link set dev eth0 up
address add {address}/24 dev eth0
"""

#: A command that spares both hosts the question who has an address, which could find no answer.
KNOWN = "neighbour add {address} lladdr {mac} dev eth0 nud permanent\n"

#: The first process of a host: it says that it is there, and waits to be told to end.
HOLD = "echo {name} >/proc/sys/kernel/hostname && echo ready && exec cat"


class Host:
    """A machine of the network, on which commands may be run."""

    def __init__(self, name: str, number: int, switch: "Host | None" = None) -> None:
        self.name = name
        self.number = number
        self._switch = switch
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--uts", "sh", "-c", HOLD.format(name=name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._holder.stdout
        if self._holder.stdout.readline() != b"ready\n":
            self.close()
            raise OSError("network namespaces may not be made here, which root may")

    @property
    def address(self) -> str:
        return f"10.0.0.{self.number}"

    @property
    def mac(self) -> str:
        return f"02:00:00:00:00:{self.number:02x}"

    @property
    def inside(self) -> tuple[str, ...]:
        """A command that has the one that follows it run on this host, with the same process id."""
        return ("nsenter", f"--target={self._holder.pid}", "--net", "--uts", "--")

    def plug_in(self) -> None:
        """Join the network."""
        assert self._switch
        self._switch.ip(CABLE.format(number=self.number, mac=self.mac, pid=self._holder.pid))
        self.ip(LINK.format(address=self.address))

    def meet(self, other: "Host") -> None:
        """Know where the other is, for good."""
        self.ip(KNOWN.format(address=other.address, mac=other.mac))

    def cut_off(self) -> None:
        """Have all vanish that is sent to this host, and by it."""
        assert self._switch
        self._switch.ip(f"link set dev port{self.number} nomaster\n")

    def connect(self) -> None:
        """Have it arrive again."""
        assert self._switch
        self._switch.ip(f"link set dev port{self.number} master switch\n")

    def ip(self, commands: str) -> None:
        """Carry out these commands of `ip` here."""
        command = [*self.inside, "ip", "-batch", "-"]
        done = subprocess.run(command, input=commands, text=True, capture_output=True)
        if done.returncode:
            raise OSError(done.stderr.strip() or f"ip ended with {done.returncode}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave this host to the processes that are left on it; it is gone with the last."""
        for pipe in (self._holder.stdin, self._holder.stdout):
            if pipe:
                pipe.close()
        self._holder.wait()


class Network:
    """A switch and, first of all, the host that all others talk to; gone with the block."""

    def __enter__(self) -> Self:
        self._open = ExitStack()
        with self._open as opened:
            self._switch = Host("switch", 0)
            opened.callback(self._switch.close)
            self._switch.ip(SWITCH)
            self._count = 0
            self.server = self._add("server")
            self._open = opened.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()

    def add(self, name: str) -> Host:
        """A new host, which can talk to the server."""
        host = self._add(name)
        host.meet(self.server)
        self.server.meet(host)
        return host

    def _add(self, name: str) -> Host:
        self._count += 1
        host = Host(name, self._count, self._switch)
        self._open.callback(host.close)
        host.plug_in()
        return host


class ServerOnHost(Server):
    """A PostgreSQL on a host, which others reach by the network, and the tests by a socket file."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.port = 5432
        self._host = host

    @property
    def url(self) -> str:
        return f"postgres://postgres@/{quote(str(self._data))}/postgres"

    def url_for_hosts(self, url: str) -> str:
        """How a host reaches the database that the tests reach by this URL."""
        name = url.rpartition("/")[2]
        return f"postgres://postgres@{self._host.address}:{self.port}/{name}"

    @property
    def _options(self) -> str:
        return f"-h {self._host.address} -p {self.port} -k {self._data}"

    def _set_up(self) -> None:
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {self._host.address}/24 trust\n")

    def _control(self, *arguments: str) -> None:
        user = getpwnam(self._made.system_user)
        program, *inside = self._host.inside[:-1]
        as_user = (f"--setuid={user.pw_uid}", f"--setgid={user.pw_gid}", "--")
        command = (str(self._made.bin_path / "pg_ctl"), "-w", "-D", str(self._data), *arguments)
        self._execute(str(shutil.which(program)), *inside, *as_user, *command)
