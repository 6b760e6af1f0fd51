#!/bin/bash
# Training on all GPUs of one machine: scripts/train_ranks.sh --recipe paper --data.train ... --run.out ...
# RANKS=2 for two processes, as on a machine without GPUs. See scripts/train.sbatch for what restarts do.
set -euo pipefail
exec torchrun --standalone --nproc-per-node="${RANKS:-gpu}" --max-restarts="${RESTARTS:-3}" -m urface train "$@"
