#!/usr/bin/env bash
# The standard library beside PyTorch, row by row: see tests/torch/run.py.
. "$(dirname "$0")/lib.sh"
if ! /usr/bin/python3 -c 'import numpy, torch' 2>/dev/null; then
    skip "the library computes what PyTorch does" "python3-torch is not there"
    finish
fi
PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 /usr/bin/python3 "$top/tests/torch/run.py" "$dlcc" || failures=1
finish
