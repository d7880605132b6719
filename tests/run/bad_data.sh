#!/usr/bin/env bash
# Data and weight files that are truncated, over-long or lying: status 2 (a mistake in the data), a message with the
# file (and the offset), nothing allocated by what they declare; a label out of range named with position and value.
. "$(dirname "$0")/lib.sh"
folder=$(drawn_digits) || { not_ok "drawing digits"; finish; }
cd "$work" || exit 1
check "compiles" "$dlcc" "$digits" -o digits.so
images=train-images-idx3-ubyte labels=train-labels-idx1-ubyte

# refuse WHAT REGEX: training on the folder bad/ is refused with a message that matches, within 1 GB of address space.
refuse() {
    (ulimit -v 1000000 && timeout 20 "$dlrun" train digits.so --data bad --epochs 1) >said 2>&1
    local status=$?
    if [ $status = 2 ] && grep -qE -- "$2" said; then ok "$1"; else not_ok "$1" "status $status: $(tail -n 5 said)"; fi
}
fresh() { rm -rf bad && cp -r "$folder" bad; }
poke() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

fresh; rm bad/$images; refuse "images that are not there" "$images"
fresh; : >bad/$images; refuse "an empty file" "$images"
fresh; truncate -s 10 bad/$images; refuse "a header cut off" "$images"
fresh; truncate -s -1 bad/$images; refuse "one byte missing" "$images"
fresh; echo >>bad/$images; refuse "one byte too many" "$images"
fresh; poke bad/$images 4 '\377\377\377\377'; refuse "four milliard images declared" "$images"
fresh; poke bad/$images 8 '\177\377\377\377\177\377\377\377'; refuse "sizes that overflow" "$images"
fresh; poke bad/$images 0 'PK'; refuse "another kind of file" "$images"
fresh; poke bad/$images 2 '\015'; refuse "another element type" "$images"
fresh; poke bad/$labels 7 '\001'; refuse "fewer labels declared than there are" "$labels"
fresh; gzip bad/$images; truncate -s -100 bad/$images.gz; refuse "a gzip file cut off" "$images"
fresh; poke bad/$labels 19 '\143'; refuse "a label of 99" 'y\[[0-9]+\] is 99, allowed are 0\.\.9'

check "saves" "$dlrun" train digits.so --data "$folder" --epochs 1 --save good.safetensors
evaluate() { timeout 20 "$dlrun" eval digits.so --data "$folder" --load "$1"; }
check "loads" evaluate good.safetensors
cp good.safetensors bad.safetensors; truncate -s -1 bad.safetensors
check_status "weights cut off" 2 evaluate bad.safetensors
check_match "the file is named" "$output" 'bad\.safetensors'
cp good.safetensors bad.safetensors; poke bad.safetensors 0 '\377\377\377\377\377\377\377\177'
check_status "weights with a header of 2^63 bytes" 2 evaluate bad.safetensors
check_status "weights that are not there" 2 evaluate nowhere.safetensors
check "a smaller network" "$dlcc" "$digits" -D hidden1=32 -o small.so
check_status "weights of another network" 2 "$dlrun" eval small.so --data "$folder" --load good.safetensors
check_match "the tensor is named" "$output" 'fc1\.weight'

# A full disk: a small file system, where we may mount one.
mkdir disk
if mount -t tmpfs -o size=3m tmpfs disk 2>/dev/null; then
    cp good.safetensors disk/digits.safetensors
    check_status "a full disk" 1 "$dlrun" train digits.so --data "$folder" --epochs 1 --save disk/digits.safetensors
    check "leaves the file of before" cmp good.safetensors disk/digits.safetensors
    check_equal "and nothing else" "$(ls disk)" digits.safetensors
    umount disk
else
    skip "a full disk leaves the file of before" "may not mount a small file system"
fi
finish
