"""A lane's GPU at a moment, from the samples."""

from __future__ import annotations

from fwtui.view.frame import Gpu
from fwtui.view.samples import Samples


def gpu_of(samples: Samples, source: int, at_ns: int) -> Gpu | None:
    """The GPU part of a lane's frame; None when nothing was measured."""
    names = (
        "gpu_util",
        "gpu_memory_bytes",
        "gpu_power_w",
        "gpu_power_limit_w",
        "gpu_sm_clock_mhz",
        "gpu_temperature_c",
    )
    now = {name: samples.last(source, name, at_ns) for name in names}
    peak = samples.reduce(source, "gpu_memory_bytes", at_ns, "max")
    if peak is None and all(value is None for value in now.values()):
        return None
    reasons = samples.last(source, "gpu_throttle_reasons", at_ns)
    return Gpu(
        util=now["gpu_util"],
        memory_bytes=now["gpu_memory_bytes"],
        memory_peak_bytes=peak,
        power_w=now["gpu_power_w"],
        power_limit_w=now["gpu_power_limit_w"],
        sm_clock_mhz=now["gpu_sm_clock_mhz"],
        temperature_c=now["gpu_temperature_c"],
        throttle_reasons=None if reasons is None else throttle_names(int(reasons)),
    )


_THROTTLE = {
    0x2: "application clocks", 0x4: "power cap", 0x8: "hardware slowdown", 0x10: "sync boost",
    0x20: "thermal (software)", 0x40: "thermal (hardware)", 0x80: "power brake", 0x100: "display clocks",
}  # fmt: skip
"""NVML's clocks-event reasons; bit 1 (idle) is no throttling."""


def throttle_names(bits: int) -> tuple[str, ...]:
    """Names of the reasons in NVML's bit mask."""
    return tuple(name for bit, name in _THROTTLE.items() if bits & bit)
