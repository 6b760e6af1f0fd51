"""The door to a gallery."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from urface.gallery.answers import EnrolledPerson, Identification, Match, PersonTemplate
from urface.gallery.consent import RETENTION, Consent
from urface.types import FaceEmbedding

Method = Literal["likelihood", "cosine"]


class Gallery:
    """People, each a template of any number of images; safe to use from several threads.

    Made by ``Gallery.create`` or ``Gallery.open``; sees embeddings, never photos.
    """

    @staticmethod
    def create(
        folder: str | Path,
        *,
        model: str,
        shape: tuple[int, int],
        key: bytes,
        index: str = "faiss:",
        retention: timedelta = RETENTION,
        decision: Any = None,
    ) -> Gallery:
        """A new, empty gallery in ``folder``. model: digest; shape: (K, D); key: 32 bytes."""
        raise NotImplementedError

    @staticmethod
    def open(folder: str | Path, key: bytes, *, decision: Any = None) -> Gallery:
        raise NotImplementedError

    def require_model(self, digest: str) -> None:
        """Raise UserError where the gallery was made with another model."""
        raise NotImplementedError

    def enrol(self, person: str, faces: FaceEmbedding, consent: Consent) -> EnrolledPerson:
        raise NotImplementedError

    def search(
        self, probes: FaceEmbedding, k: int = 5, method: Method = "likelihood"
    ) -> list[list[Match]]:
        raise NotImplementedError

    def identify(self, probes: FaceEmbedding, fpir: float = 0.01) -> list[Identification]:
        raise NotImplementedError

    def remove(self, person: str) -> None:
        raise NotImplementedError

    def remove_images(self, person: str, images: list[str]) -> EnrolledPerson | None:
        raise NotImplementedError

    def purge(self) -> int:
        raise NotImplementedError

    def people(self) -> list[EnrolledPerson]:
        raise NotImplementedError

    def template(self, person: str) -> PersonTemplate:
        raise NotImplementedError

    def stats(self) -> dict[str, Any]:
        raise NotImplementedError

    def export(self, person: str | None = None) -> list[dict[str, Any]]:
        """Everything that is kept of people but their embeddings, as plain JSON values."""
        raise NotImplementedError

    def export_embeddings(self, person: str | None = None) -> tuple[list[str], FaceEmbedding]:
        """Names and templates: what no key protects any more."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        track: TracebackType | None,
    ) -> None:
        self.close()
