#!/usr/bin/env bash
# The same bits: trained weights do not depend on the number of threads, on the run, or on being interrupted.
. "$(dirname "$0")/lib.sh"
folder=$(drawn_digits) || { not_ok "drawing digits"; finish; }
cd "$work" || exit 1
check "compiles" "$dlcc" "$digits" -o digits.so

command=("$dlrun" train digits.so --data "$folder" --epochs 3 --log none --seed 5)
train() { "${command[@]}" "$@"; }

check "trains with one thread" train --threads 1 --save one.safetensors
for threads in 1 2 3 4 7; do
    check "trains with $threads threads" train --threads $threads --save "with$threads.safetensors"
    check "same weights with $threads threads" cmp one.safetensors "with$threads.safetensors"
done
check "another seed" train --seed 6 --save other.safetensors
cmp -s one.safetensors other.safetensors && not_ok "gives other weights" || ok "gives other weights"

# Stopped and resumed: after a set number of steps, by an interrupt, by a kill that nothing can catch.
check "stops after 20 steps" train --max-steps 20 --checkpoint after20
check "resumes" train --resume after20 --save resumed.safetensors
check "same weights after stopping and resuming" cmp one.safetensors resumed.safetensors
check "resumes with other threads" train --resume after20 --threads 3 --save threads.safetensors
check "same weights" cmp one.safetensors threads.safetensors

# stopped_by SIGNAL STATUS: trains for very long, with a checkpoint after every step, until one is there; then resumes.
stopped_by() {
    local pid status
    rm -f checkpoint
    # A script's background jobs ignore interrupts unless told not to.
    env --default-signal=INT "${command[@]}" --epochs 1000 --checkpoint checkpoint --checkpoint-every 1 >stopped 2>&1 &
    pid=$!
    for _ in $(seq 200); do [ -s checkpoint ] && break; sleep 0.05; done
    sleep 0.2
    kill -s "$1" $pid
    wait $pid 2>/dev/null
    status=$?
    check_equal "a $1 ends training with status $2" $status "$2"
    check "the checkpoint is whole after a $1" "$dlrun" train digits.so --data "$folder" --log none --resume checkpoint \
        --checkpoint next --epochs 1000 --max-steps 400
    rm -f one_go
    train --epochs 1000 --max-steps 400 --checkpoint one_go >/dev/null 2>&1
    check "and training goes on bit for bit" cmp next one_go
}
stopped_by INT 130
stopped_by KILL 137
finish
