#!/usr/bin/env bash
# The gradients of every example, of a size at which finite differences take little time.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1
check_status "gradcheck of the digit classifier" 0 "$dlcc" gradcheck "$digits" -D hidden1=8 -D hidden2=6
check_match "names the parameters" "$output" 'fc1\.weight'
check_status "gradcheck of a model that does not train: a mistake" 2 "$dlcc" gradcheck "$top/bench/matmul.dl"
finish
