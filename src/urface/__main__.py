"""`python -m urface`, for torchrun: torchrun --nproc-per-node 2 -m urface train ..."""

import sys

from urface.cli import main

sys.exit(main())
