"""Post-import hooks: arm a framework's hooks when the program itself imports it, and not before."""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import MetaPathFinder
from typing import Any, Callable, Dict, Optional, Set

from fwtui.guest import agent, changes, notes

FRAMEWORKS = ("torch", "tensorflow", "keras", "tf_keras", "jax")
"""Packages whose import is told as a stage."""

HOOKS: Dict[str, str] = {
    "torch": "torch_hooks:arm sites_torch:arm",
    "torch.amp.grad_scaler": "torch_hooks:arm_scaler",
    "torch._dynamo.trace_rules": "torch_compile_hooks:arm_skipping",
    "torch._dynamo.callback": "torch_compile_hooks:arm_dynamo",
    "torch._dynamo.eval_frame": "torch_compile_hooks:arm_calls",
    "torch._dynamo.variables.optimizer": "torch_compile_hooks:arm_optimizer",
    "torch._dynamo.symbolic_convert": "sites_dynamo:arm_breaks",
    "torch._dynamo.guards": "sites_dynamo:arm_recompiles",
    "keras.src.callbacks.callback_list": "keras_hooks:arm_callbacks",
    "keras.src.callbacks": "keras_hooks:arm_callbacks",
    "tf_keras.src.callbacks": "keras_hooks:arm_callbacks",
    "keras.src.utils.python_utils": "keras_hooks:arm_logs",
    "keras.src.trainers.epoch_iterator": "keras_hooks:arm_batches",
    "keras.src.trainers.trainer": "sites_keras:arm keras_hooks:arm_trainer_logs",
    "keras.src.trainers.data_adapters.py_dataset_adapter": "keras_hooks:arm_datasets",
    "keras.src.engine.data_adapter": "keras_hooks:arm_batches",
    "tf_keras.src.engine.data_adapter": "keras_hooks:arm_batches",
    "keras.src.optimizers.base_optimizer": "keras_hooks:arm_optimizer",
    "tf_keras.src.utils.tf_utils": "keras_hooks:arm_logs",
    "keras.src.utils.tf_utils": "keras_hooks:arm_logs",
    "tf_keras.src.optimizers.optimizer": "keras_hooks:arm_optimizer",
    "keras.src.optimizers.optimizer": "keras_hooks:arm_optimizer",
    "keras.src.backend.tensorflow.trainer": "keras_hooks:arm_trainer",
    "keras.src.backend.torch.trainer": "keras_hooks:arm_trainer",
    "keras.src.backend.jax.trainer": "keras_hooks:arm_trainer",
    "keras.src.engine.training": "keras_hooks:arm_trainer",
    "tf_keras.src.engine.training": "keras_hooks:arm_trainer",
    "tensorflow.python.eager.polymorphic_function.polymorphic_function": "tensorflow_hooks:arm_functions",
    "tensorflow.python.framework.func_graph": "tensorflow_hooks:arm_tracing sites_tensorflow:arm_traces",
    "tensorflow.python.data.ops.iterator_ops": "tensorflow_hooks:arm_iterator sites_tensorflow:arm_pipelines",
    "tensorflow.python.ops.script_ops": "python_calls:arm",
    "tensorflow.python.data.ops.dataset_ops": "sites_tensorflow:arm_datasets",
    "tensorflow.python.framework.config": "sites_tensorflow:arm_threads",
    "tensorflow.python.eager.backprop": "tensorflow_hooks:arm_tape",
    "torch.distributed.distributed_c10d": "communication_hooks:arm",
    "torch.nn.parallel.distributed": "communication_hooks:arm_ddp",
    "jax._src.monitoring": "jax_hooks:arm",
    "jax": "jax_hooks:arm_jax",
    "optax": "jax_hooks:arm_optax",
}
"""Module to wait for → `file:function` in this folder; several, blank-separated."""
CHANGES = changes.hooks()
"""Module to wait for → what an experiment of `fwtui explain` changes about it; empty outside of one."""


class _Finder(MetaPathFinder):
    """Lets the other finders find, then wraps the loader's `exec_module` on that one instance."""

    def __init__(self) -> None:
        self._busy: Set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name in self._busy or not (name in HOOKS or name in FRAMEWORKS or name in CHANGES):
            return None
        self._busy.add(name)
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, AttributeError, ValueError):
            return None
        finally:
            self._busy.discard(name)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            if name in FRAMEWORKS:
                agent.activate()
                agent.note_now("stage", value=f"importing {name}")
            execute(module)
            if name in HOOKS:
                for where in HOOKS[name].split():
                    agent.arm(f"{name} {where}", _function(where), module)
            if name in CHANGES:
                agent.arm(f"a change of {name}", CHANGES[name], module)
            if name in FRAMEWORKS:
                notes.note("stage", value="running the program")

        try:
            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        except AttributeError:
            return None
        return spec


def _function(where: str) -> Callable[[Any], None]:
    file, name = where.split(":")
    module = importlib.import_module(f"fwtui.guest.{file}")
    function: Callable[[Any], None] = getattr(module, name)
    return function


def install(finder: Optional[MetaPathFinder] = None) -> None:
    """Put the finder in front of all others."""
    sys.meta_path.insert(0, finder or _Finder())
