#!/usr/bin/env bash
# The same bits: trained weights do not depend on the number of threads, on the run, or on being interrupted.
. "$(dirname "$0")/lib.sh"
folder=$(drawn_digits) || { not_ok "drawing digits"; finish; }
cd "$work" || exit 1
check "compiles" "$dlcc" "$digits" -o digits.so

train() { "$dlrun" train digits.so --data "$folder" --epochs 3 --seed 5 "$@"; }

check "trains with one thread" train --threads 1 --save one.safetensors
for threads in 1 2 3 4 7; do
    check "trains with $threads threads" train --threads $threads --save "with$threads.safetensors"
    check "same weights with $threads threads" cmp one.safetensors "with$threads.safetensors"
done
check "another seed" train --seed 6 --save other.safetensors
cmp -s one.safetensors other.safetensors && not_ok "gives other weights" || ok "gives other weights"
finish
