"""NVIDIA GPUs by NVML. Every error of the library reads as "not measured", and on it goes."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

PCIE_KEEP_S = 5.0
"""A PCIe rate takes NVML 20 ms, so one is asked for a sample and stands for so long."""


class Gpus:
    """All GPUs that NVML shows; none where there is no driver."""

    def __init__(self) -> None:
        self._nvml = _load()
        self._lost: set[int] = set()
        """Devices that fell off the bus, by index: they are not asked again, for an answer may never come."""
        self._handles: list[Any] = []
        """By index; None: a device that cannot be opened."""
        self._parts: dict[int, list[Any]] = {}
        """MIG instances of a device, where it is divided."""
        if self._nvml is not None:
            count = self._ask("nvmlDeviceGetCount") or 0
            self._handles = [self._ask("nvmlDeviceGetHandleByIndex", index) for index in range(int(count))]
            self._parts = {index: self._instances(handle) for index, handle in enumerate(self._handles)}
        self._pcie: dict[tuple[int, str], tuple[float, float | None]] = {}
        self._turn = 0
        self._process_since_us: dict[int, int] = {}

    def _ask(self, name: str, *arguments: Any) -> Any:
        """Call a function of NVML; None when the library, the driver or the device has no answer."""
        try:
            return getattr(self._nvml, name)(*arguments)
        except (self._nvml.NVMLError, AttributeError, UnicodeDecodeError) as error:
            self._note_lost(error, arguments[0] if arguments else None)
            return None

    def _note_lost(self, error: Exception, handle: Any) -> None:
        """Remember a device that is gone until the machine is looked after."""
        gone = [getattr(self._nvml, name, None) for name in ("NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_RESET_REQUIRED")]
        code = getattr(error, "value", None)
        if code is not None and code in gone:
            self._lost |= {index for index, known in enumerate(self._handles) if known is handle}

    @property
    def lost(self) -> tuple[int, ...]:
        """Devices that fell off the bus, by index."""
        return tuple(sorted(self._lost))

    def _instances(self, handle: Any) -> list[Any]:
        """The MIG instances of a device; none of one that is whole."""
        mode = None if handle is None else self._ask("nvmlDeviceGetMigMode", handle)
        if not mode or not mode[0]:
            return []
        most = int(self._ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0)
        found = (self._ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, number) for number in range(most))
        return [part for part in found if part is not None]

    def sample(self) -> list[Mapping[str, float | None]]:
        """One row a device."""
        self._turn += 1
        return [self._device(index, handle) for index, handle in enumerate(self._handles)]

    def _device(self, index: int, handle: Any) -> Mapping[str, float | None]:
        if handle is None or index in self._lost:
            return {}
        clock, temperature = self._nvml.NVML_CLOCK_SM, self._nvml.NVML_TEMPERATURE_GPU
        reasons = self._ask("nvmlDeviceGetCurrentClocksEventReasons", handle)
        if reasons is None:
            reasons = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle)
        return {
            "gpu_util": _scaled(_of(self._ask("nvmlDeviceGetUtilizationRates", handle), "gpu"), 0.01),
            "gpu_memory_bytes": _of(self._ask("nvmlDeviceGetMemoryInfo", handle), "used"),
            "gpu_power_w": _scaled(self._ask("nvmlDeviceGetPowerUsage", handle), 1e-3),
            "gpu_power_limit_w": _scaled(self._ask("nvmlDeviceGetEnforcedPowerLimit", handle), 1e-3),
            "gpu_sm_clock_mhz": _scaled(self._ask("nvmlDeviceGetClockInfo", handle, clock), 1.0),
            "gpu_throttle_reasons": _scaled(reasons, 1.0),
            "gpu_temperature_c": _scaled(self._ask("nvmlDeviceGetTemperature", handle, temperature), 1.0),
            "gpu_pcie_tx_bytes_s": self._pcie_rate(index, handle, "TX"),
            "gpu_pcie_rx_bytes_s": self._pcie_rate(index, handle, "RX"),
        }

    def _pcie_rate(self, index: int, handle: Any, direction: str) -> float | None:
        """Bytes a second over the link; a new value each time that it is this device's and direction's turn."""
        now = time.monotonic()
        if self._turn % (2 * len(self._handles)) == 2 * index + (direction == "RX"):
            counter = getattr(self._nvml, f"NVML_PCIE_UTIL_{direction}_BYTES")
            rate = _scaled(self._ask("nvmlDeviceGetPcieThroughput", handle, counter), 1024.0)
            self._pcie[index, direction] = now, rate
        asked_s, rate = self._pcie.get((index, direction), (now, None))
        return rate if now - asked_s < PCIE_KEEP_S else None

    def processes(self) -> list[tuple[int, dict[str, float | None]]]:
        """(pid, values) of the processes on all devices, as far as the driver tells which they are."""
        found: list[tuple[int, dict[str, float | None]]] = []
        for index, handle in enumerate(self._handles):
            if handle is None or index in self._lost:
                continue
            for part in self._parts.get(index) or [handle]:
                for process in self._ask("nvmlDeviceGetComputeRunningProcesses", part) or ():
                    found.append((int(process.pid), {"gpu_memory_bytes": _of(process, "usedGpuMemory")}))
            since_us = self._process_since_us.get(index, 0)
            shares = self._ask("nvmlDeviceGetProcessUtilization", handle, since_us) or ()
            newest = {int(share.pid): share for share in sorted(shares, key=lambda share: int(share.timeStamp))}
            found += [(pid, {"gpu_util": _scaled(share.smUtil, 0.01)}) for pid, share in newest.items()]
            if newest:
                self._process_since_us[index] = max(int(share.timeStamp) for share in newest.values())
        return found

    def close(self) -> None:
        if self._nvml is not None:
            self._ask("nvmlShutdown")


def share_of(processes: list[tuple[int, dict[str, float | None]]], pids: Collection[int]) -> dict[str, float | None]:
    """The sum over a lane's own processes; None where the driver tells nothing of them."""
    total: dict[str, float | None] = {}
    for pid, values in processes:
        if pid in pids:
            for name, value in values.items():
                if value is not None:
                    total[name] = (total.get(name) or 0.0) + value
    return total


def _load() -> Any:
    """The library, initialised; None where there is no driver."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError, OSError):
        return None
    return pynvml


def _of(answer: Any, name: str) -> float | None:
    value = getattr(answer, name, None)
    return None if value is None else float(value)


def _scaled(value: Any, factor: float) -> float | None:
    return None if value is None else float(value) * factor
