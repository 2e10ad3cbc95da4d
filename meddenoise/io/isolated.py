"""Codecs in child processes: a file that crashes or hangs one costs an error, not the program."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meddenoise.errors import DamagedScan, FileError

__all__ = ["CodecError", "Codecs"]

_WORKER = Path(__file__).with_name("codec_worker.py")
_SECONDS, _BYTES_PER_SECOND = 60.0, 1e6  # patience: a minute, and more for large images
_FREE_BYTES = 1 << 30
_BLOCK = 1 << 20


class CodecError(Exception):
    """What a codec raised, by the name of its class."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Codecs:
    """Processes that decode, started when the first compressed file comes, ended with the block.

    Each thread that decodes gets a process of its own. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Process] = []

    def __enter__(self) -> Codecs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            for process in self._idle:
                process.end()
            self._idle.clear()

    def decode(self, path: Path, syntax: str, nbytes: int) -> NDArray:
        """All frames of a file as stored, in whatever shape the codec gives them.

        Args:
            path: the file.
            syntax: the UID of its transfer syntax; ``"picture"`` for what is not DICOM.
            nbytes: how much the pixels take: memory and time are bounded by it.

        Raises:
            FileError: the codec crashed, or took too much time or memory.
            CodecError: it refused the file.
        """
        with self._lock:
            process = self._idle.pop() if self._idle else _Process()
        try:
            pixels = process.decode(path, syntax, nbytes)
        except CodecError:
            self._keep(process)
            raise
        except BaseException:
            process.end()
            raise
        self._keep(process)
        return pixels

    def _keep(self, process: _Process) -> None:
        with self._lock:
            self._idle.append(process)


class _Process:
    """One worker."""

    def __init__(self) -> None:
        self._late = False
        self._child = subprocess.Popen(
            [sys.executable, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        )

    def end(self) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def decode(self, path: Path, syntax: str, nbytes: int) -> NDArray:
        timer = threading.Timer(_SECONDS + nbytes / _BYTES_PER_SECOND, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            self._ask({
                "path": str(path.absolute()), "syntax": syntax, "memory": 4 * nbytes + _FREE_BYTES,
            })  # fmt: skip
            return self._answer(path, nbytes)
        except (OSError, EOFError, ValueError) as error:
            fault = "does not end" if self._late else "crashes"
            raise FileError(
                f"{path} is damaged: the codec {fault} on its pixels. Export the series again, "
                "uncompressed if possible."
            ) from error
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        self._late = True
        self._child.kill()

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(request).encode() + b"\n")
        self._child.stdin.flush()

    def _answer(self, path: Path, nbytes: int) -> NDArray:
        stream = self._child.stdout
        assert stream is not None
        head = json.loads(stream.readline() or b"{}")
        if "error" in head:
            raise CodecError(head["error"], head["message"])
        if not head:
            raise EOFError
        kind, count = np.dtype(head["dtype"]), math.prod(head["shape"])
        if count * kind.itemsize > 8 * nbytes:
            raise DamagedScan(
                f"{path} is damaged: {nbytes:,} bytes of pixels are claimed, and decoded they are "
                f"{count * kind.itemsize:,}."
            )
        pixels = np.empty(count, kind)
        room = pixels.view(np.uint8).data
        done = 0
        while done < len(room):
            got = stream.readinto(room[done : done + _BLOCK])  # type: ignore[attr-defined]
            if not got:
                raise EOFError
            done += got
        return pixels.reshape(head["shape"])
