#!/bin/bash
# Training on all GPUs of one machine: scripts/train_ranks.sh --recipe paper --data.train ... --run.out ...
# RANKS=2 for two processes, as on a machine without GPUs. See scripts/train.sbatch for what restarts do.
set -euo pipefail
# torch 2.13 would let ranks that are started again meet in the store of their first start, where the addresses of
# those that died still stand; with this every start has a store of its own.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
exec torchrun --standalone --nproc-per-node="${RANKS:-gpu}" --max-restarts="${RESTARTS:-3}" -m urface train "$@"
