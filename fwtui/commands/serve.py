"""`fwtui serve`: the same screen in a browser, on this machine only unless another address is asked for."""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
import os
import sys

from fwtui.commands.parser import UsageError, add_run_dir, runs_dir, whole_number

LOOPBACK = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, and where to listen."""
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="the run; the newest one that goes on when a tab is opened"
    )
    parser.add_argument(
        "--port", type=whole_number(0), default=0, metavar="N", help="the port to listen on (a free one)"
    )
    parser.add_argument(
        "--host",
        default=LOOPBACK,
        metavar="ADDRESS",
        help=f"listen elsewhere than on {LOOPBACK}: others can then connect",
    )
    add_run_dir(parser)


def main(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl+C."""
    if importlib.util.find_spec("textual_serve") is None:
        raise UsageError(
            f"the browser needs textual-serve: `{sys.executable} -m pip install 'fwtui[serve]'`, or use `fwtui attach`"
        )
    from fwtui.commands.attach import find
    from fwtui.commands.follow import SERVER_PID
    from fwtui.web import PrivateServer

    directory = runs_dir(arguments)
    find(directory, arguments.run)  # a mistake is told here, not in the browser
    if not _is_loopback(arguments.host):
        print(
            f"fwtui: warning: whoever reaches {arguments.host} and learns the address below can see and stop the run, "
            "and nothing is encrypted on the way; `ssh -L` or `fwtui attach user@host` are safer",
            file=sys.stderr,
        )
    argv = [sys.executable, "-m", "fwtui", "attach", "--run-dir", os.fspath(directory)]
    if arguments.run:
        argv.append(arguments.run)
    os.environ["COLORTERM"] = "truecolor"  # of the browser's terminal, not of this one
    os.environ[SERVER_PID] = str(os.getpid())
    try:
        server = PrivateServer(argv, arguments.host, arguments.port)
    except OSError as error:
        place = f"{arguments.host}:{arguments.port}"
        raise UsageError(f"{place} cannot be listened on ({error.strerror or error}): choose another --port") from None
    server.run()
    return 0


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
