/* Hints: see elsewhere.h. */
#include "elsewhere.h"

#include <string.h>

typedef struct Elsewhere {
    const char *there, *here;
} Elsewhere;

static const Elsewhere names[] = {
#define NAME(there, here) {there, here},
#define ARGUMENT(there, here)
#include "elsewhere.def"
#undef NAME
#undef ARGUMENT
};

static const Elsewhere arguments[] = {
#define NAME(there, here)
#define ARGUMENT(there, here) {there, here},
#include "elsewhere.def"
#undef NAME
#undef ARGUMENT
};

static const char *find(const Elsewhere *rows, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (!strcmp(rows[i].there, name)) return rows[i].here;
    return NULL;
}

const char *elsewhere_name(const char *name) { return find(names, (int)(sizeof names / sizeof *names), name); }

const char *elsewhere_argument(const char *name) {
    return find(arguments, (int)(sizeof arguments / sizeof *arguments), name);
}

const char *elsewhere_token(const char *text, uint32_t begin, uint32_t end) {
    const char *at = text + begin;
    char before = begin ? text[begin - 1] : ' ', first = *at;
    size_t n = end - begin;
    if (n == 3 && !strncmp(at, "dim", 3)) return "`dim` declares a size; the argument is called `axis`";
    if (first == '*' && before == '*') return "a power is `x ^ y`";
    if (first == '=' && n == 1 && before && strchr("+-*/%^@", before)) return "say `x = x + y`";
    if (first == '&' || first == '|' || first == '!') return "say `and`, `or`, `not`";
    if (first == '<' || first == '>' || (n == 2 && at[1] == '=' && strchr("<>=!", first)))
        return "comparisons do not chain: say `a < b and b < c`";
    if (n == 3 && !strncmp(at, "def", 3)) return "a function is `fn name(x) { ... }`";
    return NULL;
}
