"""A Slurm cluster on this machine: each node is a set of namespaces.

A node has a network, a host name, processes and `/etc/hosts` of its own. The files of
the daemons are in one folder, and nothing of the machine's own configuration changes.
"""

import contextlib
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "ip", "nsenter", "unshare")
_TIMEOUT = 300
_NODES = ("n1", "n2")
_CONFIGURATION = """\
ClusterName=tiny
SlurmctldHost=ctl(10.231.0.1)
SlurmUser=root
MailProg=/bin/true
AuthType=auth/munge
# With the usual 120 seconds, a requeued job waits for as long.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/ctl.pid
SlurmdPidFile={folder}/%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=2,sched_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
GresTypes=gpu
NodeName=n[1-2] CPUs=2 Gres=gpu:8 State=UNKNOWN
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""


def require() -> None:
    """Skips tests where there is no Slurm."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [p for p in PROGRAMS if shutil.which(p, path=path) is None]
    if missing:
        needed = "slurmctld slurmd slurm-client munge iproute2"
        pytest.skip(f"needs Debian's {needed}: no {', '.join(missing)}")
    probe = ("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "true")
    if os.geteuid() != 0 or subprocess.run(probe, check=False).returncode:
        pytest.skip("needs root, and the right to make namespaces")


def await_(condition: Callable[[], Any], what: str) -> Any:
    """Asks again and again, until the answer is true."""
    end = time.monotonic() + _TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < end, f"in vain for {what}"
        time.sleep(0.2)
    return value


class Cluster:
    """A controller and two nodes of two cores, which pretend to have eight GPUs each.

    Args:
        folder: an empty folder for everything that the daemons write.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._mark = f"slurm{os.getpid()}"
        self._daemons: list[subprocess.Popen] = []

    def _namespace(self, node: str) -> str:
        return f"{self._mark}{node}"

    def _within(self, node: str, *command: Any, processes: bool = False) -> list[str]:
        """The command line that runs a command on a node."""
        own = ("--pid", "--fork", "--kill-child", "--mount-proc") if processes else ()
        return [
            *("nsenter", f"--net=/run/netns/{self._namespace(node)}"),
            *("unshare", "--mount", "--uts", "--propagation=private", *own),
            *("bash", "-c"),
            'mount --bind "$0" /etc/hosts; hostname "$1"; shift; exec "$@"',
            *(str(self.folder / "hosts"), node, *map(str, command)),
        ]

    def _environment(self) -> dict[str, str]:
        folders = (os.path.dirname(sys.executable), os.environ["PATH"], "/usr/sbin")
        return {
            **os.environ,
            "PATH": ":".join((*folders, "/sbin")),
            "SLURM_CONF": str(self.folder / "slurm.conf"),
        }

    def run(self, *command: Any, check: bool = True) -> str:
        """Runs one of Slurm's commands beside the controller; returns its output."""
        done = subprocess.run(
            self._within("ctl", *command),
            env=self._environment(),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0 or not check, done.stdout
        return done.stdout

    def submit(self, *arguments: Any) -> str:
        """Submits a script, and returns the ID of its job."""
        log = f"--output={self.folder}/job-%j.log"
        return self.run("sbatch", "--parsable", log, *arguments).strip()

    def fields(self, job: str) -> list[dict[str, str]]:
        """What Slurm knows of a job, or of each task of an array."""
        text = self.run("scontrol", "--oneliner", "show", "job", job)
        return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in text.splitlines()]

    def ended(self, job: str) -> list[dict[str, str]]:
        """Waits for the end of a job; what Slurm knows then."""

        def ended():
            fields = self.fields(job)
            going = {"PENDING", "RUNNING", "COMPLETING", "SUSPENDED"}
            return not going & {f["JobState"] for f in fields} and fields

        return await_(ended, f"the end of job {job}: {self.log()}")

    def log(self) -> str:
        """The end of what the jobs have said."""
        logs = sorted(self.folder.glob("job-*.log"))
        return "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in logs)

    def _start(self, name: str, command: list[str]) -> None:
        with open(self.folder / f"{name}.log", "wb") as log:
            self._daemons.append(
                subprocess.Popen(
                    command,
                    env=self._environment(),
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def start(self) -> None:
        """Starts all daemons, and waits for the nodes."""
        self._write()
        self._connect()
        munge = [f"--{n}-file={self.folder}/munge.{n}" for n in ("key", "pid", "seed")]
        socket = f"--socket={self.folder}/munge.socket"
        log = f"--log-file={self.folder}/munge.log"
        self._start("munged", ["munged", "--force", "-F", *munge, socket, log])
        await_((self.folder / "munge.socket").exists, "munged")
        file = self.folder / "slurm.conf"
        self._start(
            "slurmctld",
            self._within("ctl", "slurmctld", "-D", "-i", "-f", file, processes=True),
        )
        for node in _NODES:
            command = self._within(node, "slurmd", "-D", "-f", file, processes=True)
            self._start(f"slurmd-{node}", command)
        await_(self._is_idle, "idle nodes")

    def _is_idle(self) -> bool:
        states = self.run("sinfo", "--noheader", "--Node", "--format=%T", check=False)
        return states.split() == ["idle"] * len(_NODES)

    def _write(self) -> None:
        """Writes the files that the daemons read."""
        for name in ("state", *(f"spool-{node}" for node in _NODES)):
            (self.folder / name).mkdir()
        for number in range(8):
            # Slurm counts devices, and this is /dev/null.
            device = self.folder / f"gpu{number}"
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        (self.folder / "slurm.conf").write_text(
            _CONFIGURATION.format(folder=self.folder)
        )
        (self.folder / "gres.conf").write_text(
            f"NodeName=n[1-2] Name=gpu File={self.folder}/gpu[0-7]\n"
        )
        lines = ["127.0.0.1 localhost", "10.231.0.1 ctl"]
        lines += [f"10.231.0.1{node[1:]} {node}" for node in _NODES]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        (self.folder / "munge.key").chmod(0o600)

    def _connect(self) -> None:
        """Makes the networks: a bridge beside the controller, a cable to each node."""
        control = self._namespace("ctl")
        for node in ("ctl", *_NODES):
            _ip("netns", "add", self._namespace(node))
            _ip("-n", self._namespace(node), "link", "set", "lo", "up")
        _ip("-n", control, "link", "add", "br0", "type", "bridge")
        _ip("-n", control, "addr", "add", "10.231.0.1/24", "dev", "br0")
        _ip("-n", control, "link", "set", "br0", "up")
        for node in _NODES:
            name, space, cable = node[1:], self._namespace(node), f"v{node}"
            ends = ("type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("-n", control, "link", "add", cable, *ends)
            _ip("-n", control, "link", "set", cable, "master", "br0", "up")
            _ip("-n", space, "addr", "add", f"10.231.0.1{name}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")

    def stop(self) -> None:
        """Ends all processes of the nodes, and removes the networks."""
        for daemon in reversed(self._daemons):
            daemon.kill()
            daemon.wait()
        for node in ("ctl", *_NODES):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", self._namespace(node))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Runs a cluster."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def processes(**variables: str) -> list[int]:
    """The processes of `tf-student` with these variables in their environment."""
    wanted = {f"{name}={value}".encode() for name, value in variables.items()}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes().split(b"\0")
            is_command = len(arguments) > 1 and arguments[1].endswith(b"/tf-student")
            if is_command and wanted <= set(environment):
                found.append(int(folder.name))
    return found
