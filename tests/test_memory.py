"""Freed memory stays with a process that asks for that, and the next step maps no page anew."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, sys
import numpy as np
from urface.memory import keep_freed_memory
if sys.argv[1] != "given back":
    keep_freed_memory(large_too=sys.argv[1] == "large too")
megabytes = int(sys.argv[2])
def step():
    blocks = [np.ones(megabytes << 17) for _ in range(4)]
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10)
"""


def faults_a_step(how: str, megabytes: int) -> float:
    command = [sys.executable, "-c", STEPS, how, str(megabytes)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no mallopt")
def test_a_step_maps_no_page_anew_where_freed_memory_is_kept() -> None:
    assert faults_a_step("kept", 24) < 4
    assert faults_a_step("large too", 48) < 4
    # What a service frees in large blocks goes back; and without us all does. Pages may be of 2 MiB.
    assert faults_a_step("kept", 48) > 40
    assert faults_a_step("given back", 48) > 40
