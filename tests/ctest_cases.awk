# Turns ctest's LastTest.log into TAP lines: one for each case that a test's output tells of, in cmocka's words or
# as TAP, and one for the program where it tells of none or fails without naming a case.
/^[0-9]+\/[0-9]+ Test: / { name = $0; sub(/^[0-9]+\/[0-9]+ Test: /, "", name); cases = 0; bad = 0; listing = 0 }
/^\[==========\] .*run\.$/ { listing = 1 } # what follows repeats the failed ones
/^\[ +RUN +\]/ { listing = 0 }
!listing && /^\[ +OK \] / { cases++; sub(/^\[ +OK \] /, ""); print "ok - " name ": " $0 }
!listing && /^\[ +FAILED +\] / { cases++; bad++; sub(/^\[ +FAILED +\] /, ""); print "not ok - " name ": " $0 }
!listing && /^\[ +SKIPPED +\] / { cases++; sub(/^\[ +SKIPPED +\] /, ""); print "ok - " name ": " $0 " # SKIP by itself" }
/^ok / { cases++; sub(/^ok [0-9]*[ -]*/, ""); print "ok - " name ": " $0 }
/^not ok/ { cases++; bad++; sub(/^not ok [0-9]*[ -]*/, ""); print "not ok - " name ": " $0 }
/^Test Passed\.$/ { if (!cases) print "ok - " name }
/^Test Skipped\.$/ { if (!cases) print "ok - " name " # SKIP by itself" }
/^Test Failed\.$/ || /^Test timeout computed to be/ { if (!bad) print "not ok - " name " ended badly, see above" }
