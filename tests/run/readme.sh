#!/usr/bin/env bash
# Every shell command that a README shows works as it stands. PREFIX and FOLDER stand for an installed dlcc and a folder
# of data. The block with the two commands is left out: quickstart.sh here runs one, and the other runs this.
. "$(dirname "$0")/lib.sh"
folder=$(drawn_digits) || { not_ok "drawing digits"; finish; }
export PATH="$prefix/bin:$PATH" PKG_CONFIG_PATH="$prefix/lib/pkgconfig"

# commands FILE: its fenced sh blocks, one after the other, but for the one with the two commands.
commands() {
    awk '/^```/ { if (inside && text !~ /tests\/run\.sh/) printf "%s", text; inside = $0 == "```sh"; text = ""; next }
         inside { text = text $0 "\n" }' "$1" | sed "s,PREFIX,$prefix,g; s,FOLDER,$folder,g"
}

for readme in README.md examples/digits/README.md; do
    rm -rf "$work/here" && cp -r "$top/examples/digits" "$work/here" && cd "$work/here" || exit 1
    commands "$top/$readme" >commands
    check_match "$readme shows commands" "$(cat commands)" dlcc
    check "and they work" bash -eux commands
done

# The model that README.md shows is the example's, without its comments.
shown=$(awk '/^```/ { inside = !inside; on = 0 } inside && /^dim B/ { on = 1 } on' "$top/README.md")
real=$(grep -v '^ *///' "$digits")
check_equal "README.md shows the example's model" "$(grep -v '^ *$' <<<"$shown")" "$(grep -v '^ *$' <<<"$real")"
finish
