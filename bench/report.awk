# One case of bench/run.sh: reads what its contestants gave, prints the table's row, appends to the files json, ratios.
#
# Lines read, with tabs between: SLOT NAME EMPTY MEMORY MEDIAN MIN; slot 0 is ours, 1 the ceiling, others are peers;
# nanoseconds, MEMORY in kB. Variables: head (print the table's head and no more), case_, group, unit, count (what a
# rate counts), threads, compile (seconds), bytes (of the .so), json, ratios.
#
# Where a call takes less than 0.1 ms, what the peer takes for an empty one is taken off.

function in_unit(ns) { return sprintf("%.5g", unit == "ms" ? ns / 1e6 : count / ns) }
function megabytes(s) { return memory[s] ? sprintf("%.1f", memory[s] / 1e3) : "null" }
function quoted(text) { return "\"" text "\"" }
function row(a, b, c, d, e, f, g, h, i, j, k) {
    printf "%-27s %-7s %9s  %-14s %9s %7s %9s %7s %9s %8s  %s\n", a, b, c, d, e, f, g, h, i, j, k
}
function entry(s) { # a peer in JSON
    return sprintf("{\"name\": %s, \"median\": %s, \"min\": %s, \"empty_ms\": %.5g, \"memory_mb\": %s}",
                   quoted(name[s]), in_unit(median[s]), in_unit(least[s]), empty[s] / 1e6, megabytes(s))
}
function note(text) { notes = notes (notes == "" ? "" : "; ") text }
function notes_of(s) {
    if (s != best) note(name[s] " " in_unit(median[s]))
    if (empty[s] && median[s] < 1e5) note(sprintf("%s empty %.3g ms", name[s], empty[s] / 1e6))
    if (memory[s]) note(sprintf("memory %.0f MB, theirs %.0f", memory[0] / 1e3, memory[s] / 1e3))
}

BEGIN { FS = "\t"; peers = "" }

{
    name[$1] = $2; empty[$1] = $3; memory[$1] = $4; median[$1] = $5; least[$1] = $6
    if ($1 < 2) next
    if ($5 < 1e5) { median[$1] = $5 > $3 ? $5 - $3 : 1; least[$1] = $6 > $3 ? $6 - $3 : 1 }
    if (!best || median[$1] < median[best]) best = $1
    peers = peers (peers == "" ? "" : ", ") entry($1)
    slots[++slot_count] = $1
}

END {
    if (head) {
        row("case", "unit", "ours", "better peer", "theirs", "ratio", "ceiling", "of it", "compiled", ".so", "")
        exit
    }
    theirs = theirs_min = ratio = ceiling = peer = "null"
    if (best) {
        peer = quoted(name[best]); theirs = in_unit(median[best]); theirs_min = in_unit(least[best])
        ratio = sprintf("%.4f", median[0] / median[best])
        print group, ratio, case_ >>ratios
    }
    if (1 in name) { ceiling = in_unit(median[1]); share = sprintf("%.1f %%", 100 * median[1] / median[0]) }
    for (i = 1; i <= slot_count; i++) notes_of(slots[i])
    row(case_, unit, in_unit(median[0]), best ? name[best] : "-", best ? theirs : "-", best ? ratio : "-",
        1 in name ? ceiling : "-", share, sprintf("%.2f s", compile), sprintf("%.0f kB", bytes / 1e3), notes)
    printf "{\"group\": %s, \"case\": %s, \"threads\": %d, \"unit\": %s, \"ours\": %s, \"ours_min\": %s, ",
           quoted(group), quoted(case_), threads, quoted(unit), in_unit(median[0]), in_unit(least[0]) >>json
    printf "\"peer\": %s, \"theirs\": %s, \"theirs_min\": %s, \"ratio\": %s, \"ceiling\": %s, ",
           peer, theirs, theirs_min, ratio, ceiling >>json
    printf "\"compile_s\": %.3f, \"so_bytes\": %d, \"memory_mb\": %s, \"peers\": [%s]}\n",
           compile, bytes, megabytes(0), peers >>json
}
