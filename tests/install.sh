#!/usr/bin/env bash
# Builds dlcc for use, without tests, in FOLDER and installs it into FOLDER/prefix. Usage: tests/install.sh FOLDER
# Says nothing unless it fails.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:?}
mkdir -p "$folder" || exit 1
{
    cmake -G Ninja -S "$top" -B "$folder" -DDLCC_BUILD_TESTS=OFF &&
        cmake --build "$folder" &&
        cmake --install "$folder" --prefix "$folder/prefix"
} >"$folder/build.log" 2>&1 && exit 0
tail -n 40 "$folder/build.log" >&2
echo "The build failed; all it said is in $folder/build.log" >&2
exit 1
