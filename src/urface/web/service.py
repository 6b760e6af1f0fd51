"""What one running service holds: the model, its calibration, a gallery or none, limits and keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from urface.web.answers import ModelNote
from urface.web.engine import Engine
from urface.web.keys import KeyFile
from urface.web.limits import Limits
from urface.web.people import PersonIds
from urface.web.refusal import Refusal

if TYPE_CHECKING:
    from urface.decision import Decision
    from urface.gallery import Gallery

DEMONSTRATION = (
    "Demonstration model: small, and trained on synthetic faces alone. It shows how urface works; "
    "do not decide anything about people by it."
)


@dataclass(frozen=True)
class Service:
    """engine, decision, model  how faces are embedded, judged and named
    gallery, ids             people, and their ids on the wire; both or none
    keys                     None: everybody on this machine
    hosts                    names in Host that are answered; None: all (only behind keys)
    raw                      whether everybody on this machine may have raw embeddings
    """

    engine: Engine
    decision: Decision | None
    model: ModelNote
    gallery: Gallery | None = None
    ids: PersonIds | None = None
    keys: KeyFile | None = None
    hosts: tuple[str, ...] | None = None
    raw: bool = False
    limits: Limits = field(default_factory=Limits)

    def people(self) -> tuple[Gallery, PersonIds]:
        """The gallery. Raises Refusal (404) where there is none."""
        if self.gallery is None or self.ids is None:
            raise Refusal(
                404, "no_gallery", "this service has no gallery: start it with --gallery FOLDER"
            )
        return self.gallery, self.ids


def model_note(name: str, digest: str, decision: Decision | None, demonstration: bool) -> ModelNote:
    """How a model is named in every answer."""
    shown = demonstration or (decision is not None and decision.demonstration)
    note = DEMONSTRATION if shown else f"Model {name}."
    if decision is None:
        note += " It was not calibrated: scores have no known meaning."
    return ModelNote(name=name, digest=digest[:16], demonstration=shown, note=note)
