#!/usr/bin/env bash
# The first of the two commands: builds, compiles, trains, shows. With drawn digits and with a folder of files.
. "$(dirname "$0")/lib.sh"
export LC_ALL=C.UTF-8

check_status "examples/quickstart.sh" 0 bash "$top/examples/quickstart.sh"
check_match "tells the test accuracy" "$output" 'test accuracy 9[6-9]\.[0-9]+ ?%'
check_match "shows pictures" "$output" '█'
check_match "says what it reads" "$output" '^[0-9] \([0-9.]+ %\)'

if [ -d "$data/mnist" ]; then
    check_status "examples/quickstart.sh with MNIST's files" 0 bash "$top/examples/quickstart.sh" "$data/mnist"
    check_match "tells the test accuracy" "$output" 'test accuracy 9[7-9]\.[0-9]+ ?%'
else
    skip "examples/quickstart.sh with MNIST's files" "no $data/mnist"
fi
check_status "examples/quickstart.sh with a folder that is not there: a failure" 1 bash "$top/examples/quickstart.sh" "$work/nowhere"
finish
