"""What a TensorFlow program set up, and where: pipeline, threads; and which argument made it trace again."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from fwtui.guest import agent, notes, parity_facts, sites, trainer

MOST = 20
_made_at: Dict[int, str] = {}
_traced: Dict[Any, List[Tuple[str, str]]] = {}
"""What each function was traced with last; by its code, for names such as `wrapped_fn` are many functions'."""
_retraces: Dict[Tuple[str, str], Dict[str, Any]] = {}
_state = {"tracing": 0, "traces": 0}


def arm_datasets(module: Any) -> None:
    """Remember where each dataset was made; they are made before training."""
    sites.after(module.DatasetV2, "__init__", _made)


def _made(dataset: Any, *_: Any, **__: Any) -> None:
    if len(_made_at) < 10_000 and not trainer.elsewhere():
        place = sites.here()
        if place:
            _made_at[id(dataset)] = place


def arm_pipelines(module: Any) -> None:
    """Learn what a pipeline is made of when Python, or `fit`, starts to iterate it."""
    sites.after(module.OwnedIterator, "__init__", _iterated)


def _iterated(iterator: Any, dataset: Any = None, *_: Any, **__: Any) -> None:
    if dataset is None or trainer.elsewhere() or "pipeline" in notes.learnt:
        return
    kinds: List[str] = []
    place, python = None, False
    todo = [dataset]
    while todo and len(kinds) < 30:
        one = todo.pop(0)
        kinds.append(type(one).__name__.strip("_").replace("Dataset", "").rstrip("V2"))
        place = place or _made_at.get(id(one))
        python = python or _calls_python(one)
        todo.extend(one._inputs())
    if not agent.fitting[0]:
        agent.arm("tensorflow dataset", lambda _: parity_facts.of_dataset(dataset, kinds), None)
    notes.learn({"pipeline": kinds[::-1], "pipeline_at": place, "pipeline_python": python})


def _calls_python(dataset: Any) -> bool:
    """Whether a part of a pipeline calls back into Python: a generator, or `py_function`."""
    for wrapped in dataset._functions():
        function = getattr(wrapped, "function", wrapped)
        graph = getattr(function, "graph", None)
        for operation in graph.get_operations() if graph is not None else ():
            if operation.type in ("PyFunc", "EagerPyFunc", "PyFuncStateless", "GeneratorDataset"):
                return True
    return False


def arm_threads(module: Any) -> None:
    """Remember who set the number of threads."""

    def learn(number: int) -> None:
        notes.learn({"threads_at": sites.here(), "threads_set": int(number), "cores": sites.cores()})

    sites.after(module, "set_intra_op_parallelism_threads", learn)


def arm_traces(module: Any) -> None:
    """Compare the arguments of each outermost trace with those of the same function's last one."""

    def make(original: Any) -> Any:
        def func_graph_from_py_func(*args: Any, **kwargs: Any) -> Any:
            if trainer.elsewhere():
                return original(*args, **kwargs)
            _state["tracing"] += 1
            try:
                return original(*args, **kwargs)
            finally:
                _state["tracing"] -= 1
                if not _state["tracing"]:
                    agent.arm("tensorflow traces", _compare, (args, kwargs))

        return func_graph_from_py_func

    agent.patch(module, "func_graph_from_py_func", make)


def _compare(call: Any) -> None:
    names = ("name", "python_func", "args", "kwargs")
    given = {**dict(zip(names, call[0])), **call[1]}  # noqa: B905 - Python 3.9
    python = given.get("python_func")
    function = getattr(python, "__name__", None) or str(given.get("name"))
    code = getattr(getattr(python, "__wrapped__", python), "__code__", None)
    if code is not None and code.co_filename.endswith("structured_function.py"):
        return  # what a dataset maps: each is traced once, when the dataset is made
    now = _describe(given)
    before = _traced.get(code or function)
    _traced[code or function] = now
    if before is None:
        return
    known = dict(before)
    for argument, value in now:
        if argument in known and known[argument] != value:
            row = _retraces.setdefault(
                (function, argument), {"function": function, "argument": argument, "count": 0, "at": sites.here()}
            )
            row.update(count=row["count"] + 1, before=known[argument], after=value)
            _state["traces"] += 1
            notes.learn({"retraces": list(_retraces.values())[:MOST], "retrace_count": _state["traces"]})


def _describe(given: Dict[str, Any]) -> List[Tuple[str, str]]:
    """(argument's name, what a trace depends on in it)"""
    python = given.get("python_func")
    python = getattr(python, "__wrapped__", python)
    code = getattr(python, "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    if names[:1] == ["self"]:
        names = names[1:]
    rows = []
    for position, value in enumerate(given.get("args") or ()):
        name = names[position] if position < len(names) else f"argument {position}"
        rows.append((name, _kind(value)))
    rows += [(str(name), _kind(value)) for name, value in (given.get("kwargs") or {}).items()]
    return rows


def _kind(value: Any) -> str:
    spec = getattr(value, "element_spec", None)
    if spec is not None:
        return str(spec)[:200]
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{getattr(dtype, 'name', dtype)} {shape}"
    if isinstance(value, (int, float, bool, str, type(None))):
        return f"Python value {value!r}"[:80]
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(_kind(one) for one in value[:8]) + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_kind(one)}" for key, one in list(value.items())[:8]) + "}"
    return type(value).__name__
