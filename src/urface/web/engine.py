"""Photos to embeddings in a few threads with a bounded queue: the one place where the service computes."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from urface.data.decode import decode_image
from urface.types import FaceEmbedding, UserError
from urface.web.limits import Limits
from urface.web.refusal import Refusal

if TYPE_CHECKING:
    from urface.embedder import Embedder
    from urface.photos import Detector

log = logging.getLogger("urface.web")
Result = TypeVar("Result")
MOST_ASPECT = 1.05  # of an aligned crop, which is square


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Photo:
    """What a client sent for one face.

    name     of the part, for messages
    data     JPEG, PNG or WebP
    aligned  whether it is an aligned crop already
    """

    name: str
    data: bytes
    aligned: bool = False


@dataclass(frozen=True)
class Seen:
    """The face of a photo: image  [H, W, 3] RGB uint8, aligned; others  faces beside it, not taken."""

    image: np.ndarray
    others: int


class Engine:
    """``workers`` threads around one embedder, with a detector in each.

    open_detector  makes one; None where no detector is installed: aligned crops alone are taken
    threads        of the network in each worker: together more than cores would only wait for each other
    """

    def __init__(
        self,
        embedder: Embedder,
        open_detector: Callable[[], Detector] | None,
        workers: int,
        limits: Limits,
        threads: int = 1,
    ) -> None:
        self.embedder = embedder
        self.finds_faces = open_detector is not None
        self._open_detector = open_detector
        self._limits = limits
        self._most = workers + limits.waiting
        self._busy = 0
        self._own = threading.local()  # mediapipe's objects belong to one thread
        # torch keeps its number of threads for each thread that calls it, so each worker sets its own.
        self._pool = ThreadPoolExecutor(workers, "urface-web", _set_threads, (threads,))

    async def run(self, work: Callable[[], Result]) -> Result:
        """``work`` in a worker. Raises Refusal (429) at once where too many wait already."""
        if self._busy >= self._most:
            raise Refusal(429, "busy", "too many requests are waiting; try again", retry_after=1)
        self._busy += 1
        gone = threading.Event()

        def wanted() -> Result:
            if gone.is_set():
                raise asyncio.CancelledError  # its client went while it waited
            return work()

        future = asyncio.get_running_loop().run_in_executor(self._pool, wanted)
        # A client that went leaves its work in the queue, so the work is counted, not the client.
        future.add_done_callback(self._done)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            gone.set()
            raise

    def _done(self, future: asyncio.Future[Result]) -> None:
        self._busy -= 1
        if not future.cancelled():
            future.exception()  # asked for, so that asyncio does not complain where nobody waited

    def close(self) -> None:
        """Let the workers end."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def faces(self, photos: Sequence[Photo]) -> tuple[list[Seen], FaceEmbedding]:
        """The largest face of each photo, aligned and embedded; called in a worker.

        Raises DecodeError, NoFace, or Refusal where a photo would need the detector that is missing.
        """
        seen = [self._see(photo) for photo in photos]
        return seen, self.embedder.embed([face.image for face in seen])

    def _see(self, photo: Photo) -> Seen:
        pixels = decode_image(photo.data, self._limits.photo, name=photo.name)
        if photo.aligned:
            height, width = pixels.shape[:2]
            if max(height, width) > MOST_ASPECT * min(height, width):
                raise UserError(
                    f"{photo.name}: {width} x {height} pixels: an aligned crop is square; "
                    "without aligned the face is found"
                )
            return Seen(pixels, 0)
        if self._open_detector is None:
            raise Refusal(
                422,
                "no_detector",
                f"{photo.name}: this service has no face detector: send aligned crops with "
                "aligned=true, or install urface[faces] where it runs",
            )
        from urface.photos import aligned_face
        from urface.recognisers.onnx_process import ProcessEnded

        try:
            if not hasattr(self._own, "detector"):
                self._own.detector = self._open_detector()
            face = aligned_face(pixels, self._own.detector, photo.name)
        except ProcessEnded as error:
            log.error("the face detector: %s", error)
            raise Refusal(503, "no_detector", "the face detector ended; try again", 5) from None
        return Seen(face.image, face.of - 1)
