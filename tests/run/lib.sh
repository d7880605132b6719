# Shared by the scripts in this folder; each sources it first. Every check prints one line, "ok - what" or
# "not ok - what" with the reason below it, so that tests/run.sh can count them; `finish` sets the exit status.
#
# Given by tests/run.sh, or found: DLCC_PREFIX, an installed dlcc (bin/ include/ lib/); DLCC_DATA, a folder with
# real data that not everyone has. `work` is an empty scratch folder that goes when the script ends.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
prefix=${DLCC_PREFIX:-$top/build/prefix}
data=${DLCC_DATA:-$top/../shared/data}
dlcc=$prefix/bin/dlcc
dlrun=$prefix/bin/dlrun
digits=$top/examples/digits/digits.dl
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
if [ "$(basename "$0")" != deps.sh ] && [ ! -x "$dlcc" ]; then
    echo "not ok - there is no $dlcc: run tests/run.sh, or set DLCC_PREFIX to where dlcc is installed"
    exit 1
fi

ok() { echo "ok - $1"; }
skip() { echo "ok - $1 # SKIP $2"; }
not_ok() { # what [reason]
    echo "not ok - $1"
    [ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/    /'
    failures=$((failures + 1))
}

# check WHAT COMMAND...: the command succeeds. Its output is shown when it does not.
check() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then ok "$what"; else not_ok "$what" "status $?: $*"$'\n'"$(tail -n 20 <<<"$output")"; fi
}

# check_status WHAT STATUS COMMAND...: the command ends with this very status; its output is left in $output.
check_status() {
    local what=$1 wanted=$2 status
    shift 2
    output=$("$@" 2>&1)
    status=$?
    if [ $status = "$wanted" ]; then ok "$what"; else
        not_ok "$what" "status $status, not $wanted: $*"$'\n'"$(tail -n 20 <<<"$output")"
    fi
}

# check_equal WHAT GIVEN WANTED
check_equal() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "is:     $2"$'\n'"should: $3"; fi
}

# check_match WHAT TEXT REGEX: some line of the text matches.
check_match() {
    if grep -qE -- "$3" <<<"$2"; then ok "$1"; else not_ok "$1" "no line matches $3 in:"$'\n'"$(tail -n 20 <<<"$2")"; fi
}

# check_absent WHAT TEXT REGEX: no line of the text matches.
check_absent() {
    local found
    if found=$(grep -E -- "$3" <<<"$2"); then not_ok "$1" "$found"; else ok "$1"; fi
}

# drawn_digits: the folder with a small drawn set, made once for a script.
drawn_digits() {
    if [ ! -d "$work/drawn" ]; then
        mkdir "$work/drawn" &&
            cc -std=gnu17 -O2 "$top/examples/digits/draw_digits.c" -lm -o "$work/draw_digits" &&
            "$work/draw_digits" "$work/drawn" --train 2000 --test 500 || return 1
    fi
    echo "$work/drawn"
}

finish() { exit $((failures > 0)); }
