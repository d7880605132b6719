#!/usr/bin/env bash
# dlcc fmt: one form, whatever the spaces were; formatting twice changes nothing; comments stay; a wrong file stays.
# And --diagnostics=json: what programs read is JSON.
. "$(dirname "$0")/lib.sh"
cd "$work" || exit 1

# Every source of the repository that parses: its form, its form again, and its form after all indentation, spaces
# behind commas and blanks at line ends were changed.
unstable= lost= depends= unformed= count=0
while read -r file; do
    "$dlcc" fmt - <"$file" >form 2>said || continue
    count=$((count + 1))
    "$dlcc" fmt - <form | cmp -s - form || unstable+=" $file"
    diff <(grep -o '//.*' "$file" | sed 's/[[:space:]]*$//' | sort) <(grep -o '//.*' form | sort) >diff || lost+=" $file"
    sed -E 's/^[[:space:]]*//; s/[[:space:]]*$/\t /' "$file" | "$dlcc" fmt - | cmp -s - form || depends+=" $file"
done < <(find "$top/dsl" "$top/examples" "$top/tests" "$top/bench" -name '*.dl')
[ $count -gt 20 ] && ok "there are sources to format ($count)" || not_ok "there are sources to format" "$count"
check_equal "formatting twice changes nothing" "$unstable" ""
check_equal "comments stay" "$lost" ""
check_equal "the form does not depend on the indentation there was" "$depends" ""
for file in "$top"/dsl/std/*.dl "$top"/examples/*/*.dl; do
    "$dlcc" fmt --check "$file" 2>/dev/null || unformed+=" $file"
done
check_equal "the library and the examples are in form" "$unformed" ""

cat >messy.dl <<'END'


dim  B<=4   // batch
dim 0<= G <=8    // boxes


/// A model.
model M( n:int=3 ,in :int=- 2){

  require n>0 and not (n==- 1) ,"n"
    let fc=Linear(4,n)


    let g = [ Linear( n , n )for i in range( 2 )if i!=1 ] as ""
export fn f(x:f32[B,4])->(y:f32[B,n] ,i32){

   // first
     var h=fc(x) ; h=h+ -1*h [ :, 0:n ]   // shift
   if n>1 {h=h @ fc.weight .T}

     else{ h = - h }
      return relu(h,
  axis=- 1),
  argmax(
   h,
axis =1
   )

}
}
END
cat >wanted.dl <<'END'
dim B <= 4       // batch
dim 0 <= G <= 8  // boxes

/// A model.
model M(n: int = 3, in: int = -2) {
    require n > 0 and not (n == -1), "n"
    let fc = Linear(4, n)

    let g = [Linear(n, n) for i in range(2) if i != 1] as ""
    export fn f(x: f32[B, 4]) -> (y: f32[B, n], i32) {
        // first
        var h = fc(x); h = h + -1 * h[:, 0:n]  // shift
        if n > 1 { h = h @ fc.weight.T } else { h = -h }
        return relu(h,
                    axis = -1),
            argmax(
                h,
                axis = 1
            )
    }
}
END
cp messy.dl form.dl
check_status "a file is formatted in place" 0 "$dlcc" fmt form.dl
check_equal "in the one form" "$(cat form.dl)" "$(cat wanted.dl)"
check_status "--check: in form" 0 "$dlcc" fmt --check form.dl
check_status "--check: not in form" 2 "$dlcc" fmt --check form.dl messy.dl
check_match "it says which" "$output" 'messy\.dl is not in form'
printf 'model M { export fn f(x: f32[4] -> f32 { sum(x) } }\n' >wrong.dl
cp wrong.dl before.dl
check_status "a wrong file is an error" 2 "$dlcc" fmt wrong.dl
check_match "with its place" "$output" 'DL0102'
check "and stays as it is" cmp wrong.dl before.dl
check_status "a missing file" 1 "$dlcc" fmt nowhere.dl

json() { # every line of standard input is a JSON object with these keys
    /usr/bin/env python3 -c '
import json, sys
objects = [json.loads(line) for line in sys.stdin]
assert objects, "nothing was said"
for o in objects:
    assert set(sys.argv[1:]) <= set(o), o' "$@"
}
"$dlcc" wrong.dl --diagnostics=json -o a.o 2>said
check "--diagnostics=json: diagnostics" json code severity message file line column end_line end_column labels notes <said
"$dlcc" "$top/tests/golden/dsl/several.dl" --diagnostics=json -o a.o 2>said
check "--diagnostics=json: several" json code severity message file line column <said
"$dlcc" nowhere.dl --diagnostics=json -o a.o 2>said
check "--diagnostics=json: a missing file" json message <said
printf 'func @f(%%0: \xff\xfe"\x01 { }' >bad.ir
"$dlcc" bad.ir --diagnostics=json -o a.o 2>said
check "--diagnostics=json: bytes that are no text" json code message <said
finish
