"""A gallery of people: templates of their faces, encrypted, that can be searched (docs/gallery.md)."""

from urface.gallery.answers import EnrolledPerson, Identification, Match, PersonTemplate
from urface.gallery.consent import Consent
from urface.gallery.gallery import Gallery

__all__ = ["Consent", "EnrolledPerson", "Gallery", "Identification", "Match", "PersonTemplate"]
