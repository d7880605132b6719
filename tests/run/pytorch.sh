#!/usr/bin/env bash
# Training beside PyTorch from the same weights and batches: the losses of 20 steps agree, for 10 seeds.
. "$(dirname "$0")/lib.sh"
folder=$(drawn_digits) || { not_ok "drawing digits"; finish; }
cd "$work" || exit 1
if ! /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    skip "losses agree with PyTorch's" "python3-torch is not there"
    finish
fi
check "compiles" "$dlcc" "$digits" -o digits.so
PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 /usr/bin/python3 "$top/tests/run/pytorch_losses.py" ./digits.so "$folder" ||
    failures=1
finish
