"""The NVML reader against a fake of the library's interface: every error, MIG, containers, a GPU that is lost."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fwtui.recorder.gpus import Gpus, share_of

H100 = {
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=87, memory=41),
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=85_520_809_984, used=9_126_805_504, free=76_394_004_480),
    "nvmlDeviceGetPowerUsage": 412_345,
    "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    "nvmlDeviceGetClockInfo": 1980,
    "nvmlDeviceGetTemperature": 54,
    "nvmlDeviceGetCurrentClocksEventReasons": 0x4,
    "nvmlDeviceGetPcieThroughput": 20_480,
    "nvmlDeviceGetMigMode": (0, 0),
    "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=4711, usedGpuMemory=8_000_000_000)],
    "nvmlDeviceGetProcessUtilization": [
        SimpleNamespace(pid=4711, smUtil=12, timeStamp=100),
        SimpleNamespace(pid=4711, smUtil=80, timeStamp=200),
    ],
}
"""Values in the library's units, as an H100 gives them."""
ERRORS = {
    "Uninitialized": 1, "InvalidArgument": 2, "NotSupported": 3, "NoPermission": 4, "NotFound": 6,
    "InsufficientPower": 8, "DriverNotLoaded": 9, "Timeout": 10, "IrqIssue": 11, "LibraryNotFound": 12,
    "FunctionNotFound": 13, "CorruptedInforom": 14, "GpuIsLost": 15, "ResetRequired": 16, "OperatingSystem": 17,
    "LibRmVersionMismatch": 18, "InUse": 19, "Memory": 20, "NoData": 21, "Unknown": 999,
}  # fmt: skip


class Library(ModuleType):
    """`pynvml`: `answers[device][function]` is a value, or an error's name to raise."""

    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU, NVML_PCIE_UTIL_TX_BYTES, NVML_PCIE_UTIL_RX_BYTES = 1, 0, 0, 1
    NVML_ERROR_GPU_IS_LOST, NVML_ERROR_RESET_REQUIRED = 15, 16

    class NVMLError(Exception):
        def __init__(self, value: int) -> None:
            super().__init__(value)
            self.value = value

    def __init__(self, *devices: dict[str, Any], init: str | None = None) -> None:
        super().__init__("pynvml")
        self.answers = {f"device-{index}": {**H100, **answers} for index, answers in enumerate(devices)}
        self.parts: dict[str, list[str]] = {}
        self.init, self.asked = init, 0

    def _fail(self, name: str) -> None:
        raise self.NVMLError(ERRORS[name])

    def nvmlInit(self) -> None:
        if self.init:
            self._fail(self.init)

    def nvmlShutdown(self) -> None:
        return None

    def nvmlDeviceGetCount(self) -> int:
        return sum(not name.startswith("mig") for name in self.answers)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        if self.answers[f"device-{index}"].get("open"):
            self._fail(self.answers[f"device-{index}"]["open"])
        return f"device-{index}"

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: str) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: str, number: int) -> str:
        if number >= len(self.parts.get(handle, [])):
            self._fail("NotFound")
        return self.parts[handle][number]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvmlDeviceGet"):
            raise AttributeError(name)

        def ask(handle: str, *_: Any) -> Any:
            self.asked += 1
            answer = self.answers[handle].get(name, "FunctionNotFound")
            if isinstance(answer, str):
                self._fail(answer)
            return answer

        return ask


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(library: Library) -> Library:
        monkeypatch.setitem(sys.modules, "pynvml", library)
        return library

    return put


def test_a_device_in_the_units_of_the_vocabulary(install: Any) -> None:
    install(Library({}))
    gpus = Gpus()
    rows = [dict(gpus.sample()[0]) for _ in range(2)][-1]
    assert rows["gpu_util"] == pytest.approx(0.87)
    assert rows["gpu_memory_bytes"] == 9_126_805_504
    assert rows["gpu_power_w"] == pytest.approx(412.345)
    assert rows["gpu_power_limit_w"] == pytest.approx(700)
    assert (rows["gpu_sm_clock_mhz"], rows["gpu_temperature_c"], rows["gpu_throttle_reasons"]) == (1980, 54, 4)
    assert rows["gpu_pcie_rx_bytes_s"] == rows["gpu_pcie_tx_bytes_s"] == 20_480 * 1024
    found = gpus.processes()
    assert share_of(found, {4711}) == {"gpu_memory_bytes": 8e9, "gpu_util": 0.8}, "the newest share counts"
    gpus.close()


@pytest.mark.parametrize("error", ERRORS)
def test_any_error_of_any_question_reads_not_measured(install: Any, error: str) -> None:
    for name in H100:
        install(Library({name: error}, {}))
        gpus = Gpus()
        for _ in range(4):
            broken, whole = gpus.sample()
        assert all(value is None or value >= 0 for value in broken.values())
        assert whole["gpu_util"] == pytest.approx(0.87), "the other device goes on"
        gpus.processes()
        gpus.close()


@pytest.mark.parametrize("error", ["DriverNotLoaded", "LibraryNotFound", "NoPermission", "LibRmVersionMismatch"])
def test_no_driver_is_no_gpu(install: Any, error: str) -> None:
    install(Library({}, init=error))
    gpus = Gpus()
    assert gpus.sample() == []
    assert gpus.processes() == []
    gpus.close()


def test_a_gpu_that_is_lost_is_not_asked_again_and_the_others_go_on(install: Any) -> None:
    library = install(Library({}, {}))
    gpus = Gpus()
    assert gpus.sample()[0]["gpu_util"] is not None
    library.answers["device-0"] = dict.fromkeys(H100, "GpuIsLost")
    gpus.sample()
    assert gpus.lost == (0,)
    library.answers["device-0"] = dict(H100)
    asked = library.asked
    lost, whole = gpus.sample()
    assert lost == {}
    assert whole["gpu_util"] is not None
    assert library.asked - asked <= 9, "one device's questions"
    assert [pid for pid, _ in gpus.processes()] == [4711, 4711], "the other device's"


def test_a_device_that_cannot_be_opened_keeps_its_number(install: Any) -> None:
    install(Library({"open": "NoPermission"}, {}))
    rows = Gpus().sample()
    assert rows[0] == {}
    assert rows[1]["gpu_util"] is not None


def test_processes_of_mig_instances(install: Any) -> None:
    library = install(Library({"nvmlDeviceGetMigMode": (1, 1), "nvmlDeviceGetUtilizationRates": "NotSupported"}))
    for number, pid in enumerate((11, 12)):
        process = SimpleNamespace(pid=pid, usedGpuMemory=(number + 1) * 10**9)
        library.answers[f"mig-{number}"] = {"nvmlDeviceGetComputeRunningProcesses": [process]}
    library.parts["device-0"] = ["mig-0", "mig-1"]
    library.answers["device-0"]["nvmlDeviceGetProcessUtilization"] = "NotSupported"
    gpus = Gpus()
    (row,) = gpus.sample()
    assert row["gpu_util"] is None, "no share of a divided device is told"
    assert row["gpu_power_w"] is not None
    assert share_of(gpus.processes(), {12}) == {"gpu_memory_bytes": 2e9}


def test_in_a_container_whose_pids_are_others_nothing_is_guessed(install: Any) -> None:
    unknown = [SimpleNamespace(pid=4711, usedGpuMemory=None)]
    install(Library({"nvmlDeviceGetComputeRunningProcesses": unknown, "nvmlDeviceGetProcessUtilization": "NotFound"}))
    found = Gpus().processes()
    assert share_of(found, {7}) == {}
    assert share_of(found, {4711}) == {}, "memory that the driver does not tell is not zero"
