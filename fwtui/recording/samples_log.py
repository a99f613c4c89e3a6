"""Writer and reader of a run's hardware samples.

A JSON header line padded to one page names the columns; rows of native doubles follow: time in ns, source, then one
column a metric. NaN means "not measured".
"""

from __future__ import annotations

import json
import os
import struct
from typing import Mapping, Optional

from fwtui.recording.vocabulary import METRICS

HEADER_BYTES = 4096
SCHEMA = 1


class SamplesLogError(ValueError):
    """The file is no samples log, or not one that this version can read."""


class SamplesLogWriter:
    """Appends rows to a new samples log.

    Raises:
        OSError: the file cannot be made, or the disk is full.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115 - lives as long as the writer
        header = {"fwtui": "samples", "schema": SCHEMA, "columns": [metric.name for metric in METRICS]}
        self._file.write(json.dumps(header).encode().ljust(HEADER_BYTES - 1) + b"\n")
        self._names = [metric.name for metric in METRICS]
        self._pack = struct.Struct(f"{2 + len(METRICS)}d").pack

    def append(self, time_ns: int, source: int, values: Mapping[str, Optional[float]]) -> None:
        """Write one row; metrics that are missing from `values` or `None` are stored as NaN."""
        row = [float("nan") if values.get(name) is None else float(values[name]) for name in self._names]  # type: ignore[arg-type]
        self._file.write(self._pack(float(time_ns), float(source), *row))

    def close(self) -> None:
        self._file.close()


class SamplesLogReader:
    """Reads rows published so far; call `read_new` again for more.

    Raises:
        SamplesLogError: the file is foreign or broken.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            header = json.loads(os.pread(self._fd, HEADER_BYTES, 0))
            if header["fwtui"] != "samples" or header["schema"] != SCHEMA:
                raise ValueError
            self.columns: list[str] = [str(name) for name in header["columns"]]
        except (ValueError, KeyError, TypeError) as error:
            os.close(self._fd)
            raise SamplesLogError(f"{path} is no samples log of fwtui") from error
        self.row_bytes = 8 * (2 + len(self.columns))
        self._offset = HEADER_BYTES

    def read_new(self) -> bytes:
        """Whole rows written since the last call, as native doubles."""
        available = os.fstat(self._fd).st_size - self._offset
        wanted = available - available % self.row_bytes
        if wanted <= 0:
            return b""
        data = os.pread(self._fd, wanted, self._offset)
        data = data[: len(data) - len(data) % self.row_bytes]
        self._offset += len(data)
        return data

    def close(self) -> None:
        os.close(self._fd)
