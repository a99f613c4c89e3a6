"""Starts the guest in a lane's interpreter, then gives way to the `sitecustomize` that it shadows.

The recorder puts this folder first on PYTHONPATH. Nothing here may ever stop the user's program.
"""

import os
import sys


def _load_package() -> None:
    """Register the package `fwtui` from its own location, without putting that location on `sys.path`."""
    import importlib.util

    if "fwtui" in sys.modules:
        return
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    spec = importlib.util.spec_from_file_location(
        "fwtui", os.path.join(root, "__init__.py"), submodule_search_locations=[root]
    )
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["fwtui"] = module
    spec.loader.exec_module(module)


def _start() -> None:
    if os.environ.get("FWTUI_RUN") and not os.environ.get("FWTUI_LANE_DIR"):
        # started by hand on another host: it writes its part of a run, whose recorder is elsewhere
        lane = os.environ.get("FWTUI_LANE") or "lane"
        os.environ["FWTUI_LANE_DIR"] = os.path.join(os.path.abspath(os.environ["FWTUI_RUN"]), "lanes", lane)
        os.environ.setdefault("FWTUI_HOST", "elsewhere")
    if not os.environ.get("FWTUI_LANE_DIR"):
        return
    try:
        _load_package()
        from fwtui.guest import agent

        agent.start()
    except Exception as error:  # the user's program must start, whatever is wrong with ours
        try:
            with open(os.path.join(os.environ["FWTUI_LANE_DIR"], "guest-error.txt"), "a") as file:
                file.write(f"{type(error).__name__}: {error}\n")
        except OSError:
            pass


def _chain() -> None:
    """Run the `sitecustomize` that would have been found without ours."""
    import importlib.machinery
    import importlib.util

    spec = importlib.machinery.PathFinder.find_spec("sitecustomize")
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _hide() -> None:
    """Take this folder off `sys.path`: the program sees the path that it would have without us."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or os.curdir) != here]


_start()
_hide()
_chain()
