"""The examples for one machine and for SLURM, with a rank that dies or hangs (goal G6, many machines)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from apart import apart
from training.forked import CALM, calm
from training.steps import differing, everything
from urface.training.logs import read_log

pytestmark = pytest.mark.timeout(600)
SCRIPTS = Path(__file__).parents[2] / "scripts"

# SLURM's two programs as far as the example uses them: every node is this machine.
SRUN = """#!/bin/bash
shift  # --kill-on-bad-exit=1
pids=()
for node in $(seq 0 $((SLURM_JOB_NUM_NODES - 1))); do
    SLURM_NODEID=$node SLURM_PROCID=$node "$@" & pids+=($!)
done
trap 'kill -TERM "${pids[@]}"' TERM
code=0
for pid in "${pids[@]}"; do
    while kill -0 "$pid" 2>/dev/null; do wait "$pid" && one=0 || one=$?; done
    [ "$one" = 0 ] || code=$one
done
exit $code
"""
SCONTROL = """#!/bin/bash
for node in $(seq "$SLURM_JOB_NUM_NODES"); do echo 127.0.0.1; done
"""


def options(out: Path, data: Path) -> list[str]:
    """What training/forked.py's plan says, on the command line."""
    return [
        f"--data.train={data}",
        f"--run.out={out}",
        "--run.precision=fp32",
        "--run.threads=1",
        "--run.log_every=1",
        "--run.checkpoint_every=5",
        "--run.timeout=20",
        "--model.backbone=tiny",
        "--model.input_size=64",
        "--model.frame_size=66",
        "--model.embedding_dim=32",
        "--model.sub_embeddings=4",
        "--model.initial_confidence=16",
        "--model.confidence_range=[1,64]",
        "--objective.margin=2",
        "--optim.batch_size=8",
        f"--optim.epochs={CALM}",
        "--optim.learning_rate=0.02",
        "--uncertainty.steps=6",
        "--uncertainty.identities=4",
        "--uncertainty.images_per_identity=2",
    ]


def surroundings(folder: Path) -> dict[str, str]:
    """PATH with SLURM's stand-ins and this Python's torchrun, and what SLURM tells a job."""
    tools = folder / "tools"
    tools.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        **os.environ,
        "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_ID": "17",
        "PORT": str(port),
    }


def rank_process(out: Path, rank: int) -> int:
    """The process id of that rank of the training in ``out``."""
    for entry in Path("/proc").iterdir():
        try:
            told = (entry / "environ").read_bytes().split(b"\0")
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"RANK=%d" % rank in told and str(out).encode() in line:
            return int(entry.name)
    raise AssertionError(f"rank {rank} is not running")


def disturbed(
    command: list[str], out: Path, environment: dict[str, str], number: int, nodes: int
) -> None:
    """Signal rank 1 in the middle of the run, which must end well after one restart.

    At most a save interval, and the step at hand, are done anew: where it goes on, it cuts its log.
    """
    log, deadline = out / "log.jsonl", time.monotonic() + 400
    said = out.with_name("stderr")
    with open(said, "wb") as errors:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=errors
        )

    def lines() -> int:
        assert time.monotonic() < deadline, said.read_text()[-3000:]
        time.sleep(0.02)
        return len(read_log(log))

    while (done := lines()) < 7:
        assert process.poll() is None, said.read_text()[-3000:]
    os.kill(rank_process(out, 1), number)
    kept = done
    while process.poll() is None:
        now = lines()
        kept, done = min(kept, now), max(done, now)
        if kept < done:
            break
    process.wait(timeout=deadline - time.monotonic())
    error = said.read_text()
    assert process.returncode == 0, error[-3000:]
    assert 1 <= error.count("failed (exitcode") <= nodes, error[-3000:]
    assert done - kept <= 5 + 1


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, faces_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("calm")
    apart(calm, folder, str(faces_folder))
    return folder / "run"


def slurm(faces: Path, folder: Path, ranks: int, number: int) -> Path:
    environment = {**surroundings(folder), "RANKS_PER_NODE": str(ranks)}
    out = folder / "run"
    command = ["bash", str(SCRIPTS / "train.sbatch"), *options(out, faces)]
    disturbed(command, out, environment, number, nodes=2)
    return out


@pytest.mark.slow
def test_the_slurm_example_outlives_a_killed_rank_and_ends_as_if_undisturbed(
    tmp_path: Path, faces_folder: Path, undisturbed: Path
) -> None:
    out = slurm(faces_folder, tmp_path, 1, signal.SIGKILL)
    assert differing(everything(undisturbed), everything(out)) == []


@pytest.mark.slow
def test_the_slurm_example_runs_two_ranks_on_each_of_two_machines(
    tmp_path: Path, faces_folder: Path, undisturbed: Path
) -> None:
    out = slurm(faces_folder, tmp_path, 2, signal.SIGKILL)
    steps = [line["step"] for line in read_log(out / "log.jsonl")]
    assert steps == [*range(1, 6 * CALM + 1), *range(1, 7)]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGSTOP])
def test_the_example_for_one_machine_outlives_a_crash_and_a_hang_and_ends_as_if_undisturbed(
    tmp_path: Path, faces_folder: Path, undisturbed: Path, number: int
) -> None:
    out = tmp_path / "run"
    command = ["bash", str(SCRIPTS / "train_ranks.sh"), *options(out, faces_folder)]
    disturbed(command, out, {**surroundings(tmp_path), "RANKS": "2"}, number, nodes=1)
    assert differing(everything(undisturbed), everything(out)) == []


WORKER = """
import os, sys
with open(sys.argv[1], "a") as file:
    file.write(os.environ["MASTER_PORT"] + "\\n")
sys.exit(os.environ["TORCHELASTIC_RESTART_COUNT"] == "0")
"""


def ports(folder: Path, script: str) -> list[str]:
    """Of the store in which each start of ``script`` meets, where the first start fails."""
    folder.mkdir()
    told, worker, place = folder / "ports", folder / "worker.py", folder / "script.sh"
    worker.write_text(WORKER)
    training = '-m urface train "$@"'
    assert training in script
    place.write_text(script.replace(training, f"{worker} {told}"))
    subprocess.run(
        ["bash", str(place)],
        env={**surroundings(folder), "RANKS": "1"},
        check=True,
        capture_output=True,
        timeout=280,
    )
    return told.read_text().split()


def test_every_start_of_the_ranks_meets_in_a_store_of_its_own(tmp_path: Path) -> None:
    """Or they find the addresses of dead ranks, and miss each other by how the ports happen to compare."""
    script = (SCRIPTS / "train_ranks.sh").read_text()
    first, second = ports(tmp_path / "ours", script)
    assert first != second

    # The control: without that line the second start gets the store of the first.
    line = "export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1\n"
    assert line in script
    assert line in (SCRIPTS / "train.sbatch").read_text()
    first, second = ports(tmp_path / "careless", script.replace(line, ""))
    assert first == second
