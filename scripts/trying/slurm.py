"""A small real Slurm in a folder: munge, a database, slurmdbd, slurmctld and two slurmd, all on this machine.

It needs Debian's packages of that name and no rights: all daemons belong to the user who starts them, listen on this
machine only, and write nowhere else. The machine's own Slurm, if it has one, is left alone.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

PACKAGES = "slurmctld slurmd slurmdbd slurm-client munge mariadb-server"
NODES = ("node1", "node2")
CPUS = 4  # that each node claims to have
_SECONDS = 60  # for a daemon to answer

_SLURM = """
ClusterName=try
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=15
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting}
AccountingStoragePass={folder}/munge.socket
GresTypes=gpu
SlurmdTimeout=10
KillWait=5
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=1440 State=UP DefMemPerCPU=500
"""
_NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory=4000 State=UNKNOWN"
_ACCOUNTING = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={accounting}
SlurmUser={user}
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
"""


class Slurm:
    """The Slurm of a folder, which `up` makes and `down` ends."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made by `up`."""
        self.folder = folder.resolve()

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables with which Slurm's commands, and regbench, find this Slurm."""
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def up(self) -> None:
        """Start all daemons, one after another, and wait until jobs can be submitted."""
        if missing := [name for name in ("munged", "mariadbd", "slurmctld", "slurmd", "sbatch") if not _which(name)]:
            raise SystemExit(f"error: {', '.join(missing)}: not installed. Debian: apt-get install {PACKAGES}")
        if (self.folder / "slurm.conf").exists():
            raise SystemExit(f"error: {self.folder}: has a Slurm. To end it: scripts/try_slurm down")
        self.folder.mkdir(parents=True, mode=0o711)  # munge asks for it
        self._configure()
        self._start_munge()
        self._start_database()
        self._start("slurmdbd", "-D")
        _wait("slurmdbd", lambda: self.run("sacctmgr", "-n", "show", "cluster").returncode == 0)
        self.run("sacctmgr", "-i", "add", "cluster", "try")
        self._start("slurmctld", "-D")
        _wait("slurmctld", lambda: self.run("scontrol", "ping").returncode == 0)
        for name in NODES:
            self.start_node(name)
        _wait("the nodes", lambda: self.says("sinfo", "-hN", "-o", "%T").split() == ["idle"] * len(NODES))

    def down(self) -> None:
        """Cancel all jobs, end all daemons, the last one first, and remove the folder."""
        if self._pids():
            self.run("scancel", "--full", "--signal=KILL", f"--user={getpass.getuser()}")
        for name in (*NODES, "slurmctld", "slurmdbd", "mariadbd", "munged"):
            self.end(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_node(self, name: str) -> None:
        """Start the slurmd of a node."""
        self._start("slurmd", "-D", "-N", name, called=name)

    def end(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End a daemon, and wait for its end."""
        if (pid := self._pids().get(name)) is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, how)
        _wait(f"the end of {name}", lambda: not _is_alive(pid))
        self._file(name).unlink()

    def kill_node(self, name: str) -> None:
        """Kill the slurmd of a node, and the jobs there: as a machine without power."""
        self.end(name, signal.SIGKILL)
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if f"SLURMD_NODENAME={name}".encode() in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of Slurm."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def says(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        return self.run(*command).stdout.strip()

    def _configure(self) -> None:
        ports = iter(_free_ports(3 + len(NODES)))
        values = {"folder": self.folder, "user": getpass.getuser(), "host": socket.gethostname(), "cpus": CPUS}
        values |= {name: next(ports) for name in ("controller", "accounting", "database")}
        nodes = "\n".join(_NODE.format(**values, name=name, port=next(ports)) for name in NODES)
        self._port = values["database"]
        for name, text in (("slurm.conf", _SLURM), ("slurmdbd.conf", _ACCOUNTING)):
            file = self.folder / name
            file.touch(0o600)
            file.write_text(text.format(**values, nodes=nodes).lstrip())
        (self.folder / "state").mkdir()

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        names = ("key-file", "socket", "pid-file", "log-file", "seed-file")
        files = (key, *(self.folder / f"munge.{end}" for end in ("socket", "pid", "log", "seed")))
        options = [f"--{name}={file}" for name, file in zip(names, files, strict=True)]
        self._start("munged", "--foreground", "--num-threads=10", *options)
        _wait("munged", (self.folder / "munge.socket").exists)

    def _start_database(self) -> None:
        data, log = f"--datadir={self.folder}/database", self.folder / "mariadb-install.log"
        as_user = f"--user={getpass.getuser()}"
        with log.open("w") as file:
            install = ["mariadb-install-db", "--no-defaults", "--skip-test-db", data, as_user]
            subprocess.run(install, stdout=file, stderr=file, check=True)
        place = [f"--socket={self.folder}/database.socket", f"--port={self._port}", "--bind-address=127.0.0.1"]
        small = ["--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"]
        self._start("mariadbd", "--no-defaults", data, as_user, *place, *small)
        client = ["mariadb", "--no-defaults", place[0], "-e"]
        grant = "CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm'; GRANT ALL ON *.* TO slurm@'127.0.0.1'"
        _wait("mariadbd", lambda: self.run(*client, "SELECT 1").returncode == 0)
        self.run(*client, grant)

    def _start(self, daemon: str, *arguments: str, called: str | None = None) -> None:
        """Start a daemon that outlives this process, and note its id."""
        name = called or daemon
        with (self.folder / f"{name}.out").open("w") as out:
            process = subprocess.Popen(
                [_which(daemon) or daemon, *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._file(name).write_text(str(process.pid))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.process"

    def _pids(self) -> dict[str, int]:
        return {file.stem: int(file.read_text()) for file in self.folder.glob("*.process")}


def _which(name: str) -> str | None:
    """Find a program; daemons are where users rarely look."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _wait(what: str, is_there: Callable[[], bool]) -> None:
    limit = time.monotonic() + _SECONDS
    while not is_there():
        if time.monotonic() > limit:
            raise SystemExit(f"error: waited {_SECONDS} s for {what}")
        time.sleep(0.2)
