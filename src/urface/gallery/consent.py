"""The consent that a person gave, without which nobody is enrolled (reliability goal G41)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from urface.types import UserError

RETENTION = timedelta(days=3 * 365)  # the longest that anyone is kept without consenting anew
LONGEST_TEXT = 2000  # characters


@dataclass(frozen=True)
class Consent:
    """reference  where the consent is on file, such as a form's number
    purpose    what the person agreed to, in words
    expires    when it ends: a date (its start in UTC), a time, or either as ISO text; at most three years
               from now

    Raises UserError where one is missing or no such value.
    """

    reference: str
    purpose: str
    expires: date | datetime | str

    def __post_init__(self) -> None:
        for name in ("reference", "purpose"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text.strip():
                raise UserError(f"consent needs a {name}: nobody is enrolled without one")
            if len(text) > LONGEST_TEXT:
                raise UserError(f"the consent's {name} is longer than {LONGEST_TEXT} characters")
        self.ends()

    def ends(self) -> datetime:
        """The moment in UTC from which the consent no longer holds."""
        given = self.expires
        if isinstance(given, str):
            try:
                given = datetime.fromisoformat(given)
            except ValueError:
                raise UserError(f"expires: {given!r} is no date such as 2027-06-30") from None
        if isinstance(given, datetime):
            try:
                return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
            except OverflowError:
                raise UserError(f"expires: {given} is no date such as 2027-06-30") from None
        if isinstance(given, date):
            return datetime(given.year, given.month, given.day, tzinfo=UTC)
        raise UserError(f"expires must be a date, got {type(given).__name__}")

    def check(self, now: datetime, retention: timedelta) -> datetime:
        """``ends()``, or UserError where that is past already or later than ``retention`` from ``now``."""
        ends = self.ends()
        if ends <= now:
            raise UserError(f"the consent ended on {ends:%Y-%m-%d}: nobody is enrolled without one")
        # A day more: "in three years" as a date is in some years 1,096 days off.
        if ends > now + retention + timedelta(days=1):
            latest = now + retention
            raise UserError(
                f"the consent runs to {ends:%Y-%m-%d}, but nobody is kept longer than {retention.days} "
                f"days: --expires at most {latest:%Y-%m-%d}"
            )
        return ends
