"""Who may import whom, what must stay lazy, and what runs in somebody else's interpreter."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fwtui"
FRAMEWORKS = {"torch", "tensorflow", "keras", "tf_keras", "jax"}

_REPORT_NEW_MODULES = """
import json
import sys
before = set(sys.modules)
{code}
print("\\n" + json.dumps(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})))
"""


def imported_by(code: str) -> set[str]:
    """Top-level names that a fresh interpreter imports while it runs some code."""
    done = subprocess.run(
        [sys.executable, "-c", _REPORT_NEW_MODULES.format(code=code)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def run_command(*argv: str) -> str:
    """Code that runs `python -m fwtui ARGV` as it would be run, and survives its exit."""
    return (
        f"import runpy; sys.argv = ['fwtui', *{argv!r}]\n"
        "try:\n    runpy.run_module('fwtui', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n    assert not end.code, end.code"
    )


def third_party(modules: set[str]) -> set[str]:
    return {name for name in modules if name not in sys.stdlib_module_names and name not in ("fwtui", "__main__")}


def sources(*rooms: str) -> list[Path]:
    """The Python files of rooms; `mark` is the file mark.py."""
    found = []
    for room in rooms:
        path = PACKAGE / room
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return [path for path in found if path.exists()]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def importable(*rooms: str) -> list[str]:
    return [module_name(path) for path in sources(*rooms) if "bootstrap" not in path.parts]


def relative_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


IN_A_LANE = sources("recording", "guest", "mark")
RUN_IN_A_LANE = [*IN_A_LANE, *sources("workloads")]


def test_import_contracts() -> None:
    if importlib.util.find_spec("importlinter") is None:
        pytest.skip("import-linter is not installed (pip install -e '.[dev]')")
    code = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("path", IN_A_LANE, ids=relative_id)
def test_what_runs_in_a_lane_imports_only_the_standard_library(path: Path) -> None:
    allowed = sys.stdlib_module_names | FRAMEWORKS | {"fwtui"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            names = [node.module or ""]
        else:
            continue
        assert {name.partition(".")[0] for name in names} <= allowed


@pytest.mark.parametrize("path", RUN_IN_A_LANE, ids=relative_id)
def test_what_runs_in_a_lane_is_written_for_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    future = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    for node in ast.walk(tree):
        assert type(node).__name__ != "Match"
        written = getattr(node, "annotation", None) or getattr(node, "returns", None)
        if "annotations" not in future and written is not None:
            assert "|" not in ast.unparse(written), "`X | None` fails on 3.9 without the future import"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dataclass":
            assert not {keyword.arg for keyword in node.keywords} & {"slots", "kw_only"}


@pytest.mark.parametrize("room", ["recording", "guest"])
def test_importing_it_pulls_in_nothing_else(room: str) -> None:
    names = importable(room)
    assert names
    assert not third_party(imported_by("\n".join(f"import {name}" for name in names)))


def test_the_root_imports_nothing() -> None:
    assert imported_by("import fwtui") == {"fwtui"}


@pytest.mark.parametrize("argv", [("--version",), ("--help",)])
def test_a_light_command_is_light(argv: tuple[str, ...]) -> None:
    modules = imported_by(run_command(*argv))
    assert not modules & ({"textual", "rich", "numpy", "psutil", "pynvml"} | FRAMEWORKS)


@pytest.mark.parametrize("room", ["analysis", "view", "reports", "tui", "recorder"])
def test_no_framework_in_the_viewer(room: str) -> None:
    modules = imported_by("\n".join(f"import {name}" for name in importable(room)))
    assert not modules & FRAMEWORKS
    if room != "tui":
        assert "textual" not in modules
    if room == "recorder":
        assert "numpy" not in modules
