"""A real sshd on loopback, with keys and a client configuration of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil

HOST = "box"


class SshServer:
    """Listens on a free high port until `close`.

    Args:
        place: a folder for its keys and configuration.
    """

    def __init__(self, place: Path) -> None:
        self.config = place / "ssh_config"
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)],
                check=True,
                capture_output=True,
            )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (place / "authorized").write_text((place / "user.pub").read_text())
        (place / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {place}/host\nAuthorizedKeysFile {place}/authorized\n"
            f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        )
        self.config.write_text(
            f"Host {HOST}\nHostName 127.0.0.1\nPort {self.port}\nUser {getpass.getuser()}\nIdentityFile {place}/user\n"
            f"IdentitiesOnly yes\nUserKnownHostsFile {place}/known\nStrictHostKeyChecking accept-new\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it separates its privileges
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert program is not None
        self._process = subprocess.Popen(
            [program, "-D", "-e", "-f", str(place / "sshd_config")], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    @property
    def ssh(self) -> str:
        """The client, as $FWTUI_SSH takes it."""
        return f"ssh -F {self.config}"

    def ready(self) -> bool:
        """Whether a login works; waits for it."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            done = subprocess.run([*self.ssh.split(), HOST, "true"], capture_output=True, timeout=20, check=False)
            if done.returncode == 0:
                return True
            time.sleep(0.2)
        return False

    def drop(self) -> int:
        """Cut every connection, as a lost network does; how many there were."""
        found = psutil.Process(self._process.pid).children()
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        return len(found)

    def close(self) -> None:
        self.drop()
        self._process.terminate()
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()


def missing() -> str | None:
    """Why there can be no server here; None when there can."""
    for name in ("ssh", "ssh-keygen", "sshd"):
        if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            return f"needs {name}"
    return None
