"""`urface mine`: a network that knows attributes and not people, and the labels it gives."""

from __future__ import annotations

from urface.commands.parser import Command, dispatch

SUMMARY = "Mine variations: learn attributes on faces that are labelled with them, then label other faces."
EXAMPLES = """\
  urface mine train --data celeba.tar --run.out runs/mine
  urface mine label runs/mine faces.tar -o labels.parquet
  urface train --recipe cpu-small --data.train faces.tar --data.labels labels.parquet"""
COMMANDS = {
    "train": Command("urface.commands.mine_train", "train the attribute network and judge it"),
    "label": Command("urface.commands.mine_label", "write soft labels for a data set"),
}


def run(arguments: list[str]) -> int:
    return dispatch("urface mine", SUMMARY, EXAMPLES, COMMANDS, arguments)
