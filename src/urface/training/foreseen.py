"""Batches looked at before their step, so that an error of one rank's can be told to all in time."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from types import TracebackType

from urface import distributed
from urface.types import FaceBatch


class Foreseen:
    """The batches of ``loader`` in order; the next ``depth`` were made when one is handed out.

    A rank whose data fail (too many corrupt images, a store that does not answer) cannot take part in the
    step's exchanges, and the others would end with the error of a broken connection. So it says so a step
    early, in an exchange that there is anyway: ``failed`` is that rank's word, and `give_up` ends all ranks
    with its error. The first batches are looked at on entering, which every rank does together.
    """

    def __init__(self, loader: Generator[FaceBatch, None, None], depth: int = 1) -> None:
        self._loader, self._depth = loader, depth
        self._ready: deque[FaceBatch] = deque()
        self._error: Exception | None = None
        self._ended = False

    @property
    def failed(self) -> bool:
        """Whether one of the next ``depth`` batches cannot be made."""
        return self._error is not None

    def give_up(self) -> None:
        """Raise this rank's error; UserError with its text where it is another's. All ranks call this."""
        distributed.together(self._raise)

    def __enter__(self) -> Foreseen:
        try:
            self._look()
            self.give_up()
        except BaseException:
            self._loader.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loader.close()  # its threads end now, not when the garbage is collected

    def __iter__(self) -> Iterator[FaceBatch]:
        while self._ready:
            batch = self._ready.popleft()
            self._look()
            yield batch

    def _look(self) -> None:
        while len(self._ready) < self._depth and not self._ended:
            try:
                self._ready.append(next(self._loader))
            except StopIteration:
                self._ended = True
            except Exception as error:
                self._error, self._ended = error, True

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
