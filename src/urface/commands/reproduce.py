"""`urface reproduce`."""

from __future__ import annotations

from urface.commands.settings import read_settings
from urface.config_reproduce import ReproduceSettings

SUMMARY = """\
Train the rows of the paper's comparison, judge each on people it has not seen, clean and degraded,
and write <out>/report.html. Without --train, --test-lfw and --pairs it makes synthetic faces. What
is done is kept: a second run goes on, or says that it is done."""
EXAMPLES = """\
  urface reproduce --recipe demo
  urface reproduce --recipe real-small --train celeba.tar --test-lfw lfw112.tar --pairs pairs.txt
  urface reproduce --recipe demo --out runs/wide --settings.optim.epochs 20 --seeds 3"""


def run(arguments: list[str]) -> int:
    settings = read_settings(
        ReproduceSettings, "urface reproduce", SUMMARY, EXAMPLES, arguments, recipe="demo"
    )
    from urface.reproduce import reproduce

    reproduce(settings)  # its last lines say what was found and where the report is
    return 0
