/* Hints: see elsewhere.h. */
#include "elsewhere.h"

#include <ctype.h>
#include <string.h>

typedef struct Elsewhere {
    const char *there, *here;
} Elsewhere;

static const Elsewhere names[] = {
#define NAME(there, here) {there, here},
#define ARGUMENT(there, here)
#define WORD(there, here)
#include "elsewhere.def"
#undef NAME
#undef ARGUMENT
#undef WORD
};

static const Elsewhere arguments[] = {
#define NAME(there, here)
#define ARGUMENT(there, here) {there, here},
#define WORD(there, here)
#include "elsewhere.def"
#undef NAME
#undef ARGUMENT
#undef WORD
};

static const Elsewhere words[] = {
#define NAME(there, here)
#define ARGUMENT(there, here)
#define WORD(there, here) {there, here},
#include "elsewhere.def"
#undef NAME
#undef ARGUMENT
#undef WORD
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

static bool in_word(char c) { return c == '_' || isalnum((unsigned char)c); }

/* What the word in text[begin .. end) stands for elsewhere, or null. */
static const char *find_word(const char *text, uint32_t begin, uint32_t end) {
    char word[16];
    if (end - begin >= sizeof word) return NULL;
    memcpy(word, text + begin, end - begin);
    word[end - begin] = 0;
    return find(words, (int)(sizeof words / sizeof *words), word);
}

/* That of the word before, on the same line. */
static const char *find_word_before(const char *text, uint32_t end) {
    while (end && text[end - 1] == ' ') end--;
    uint32_t begin = end;
    while (begin && in_word(text[begin - 1])) begin--;
    return find_word(text, begin, end);
}

static bool begins_statement(const char *text, uint32_t at) {
    while (at && text[at - 1] == ' ') at--;
    return !at || strchr("\n{;", text[at - 1]);
}

const char *elsewhere_token(const char *text, uint32_t begin, uint32_t end) {
    const char *at = text + begin;
    char before = begin ? text[begin - 1] : ' ', first = *at;
    size_t n = end - begin;
    if (n == 3 && !strncmp(at, "dim", 3)) return "`dim` declares a size; the argument is called `axis`";
    const char *word = find_word(text, begin, end);
    if (!word) word = find_word_before(text, begin);
    if (word) return word;
    if (n == 4 && !strncmp(at, "with", n) && begins_statement(text, begin))
        return "there is no block of `with`: gradients stop at stop_gradient(x)";
    if (before == '.' && n == 8 && !strncmp(at, "backward", n)) return "what trains is `minimize loss with adam(lr)`";
    if (first == '*' && before == '*') return "a power is `x ^ y`";
    if (first == '=' && n == 1 && before && strchr("+-*/%^@", before)) return "say `x = x + y`";
    if (first == '&' || first == '|' || first == '!') return "say `and`, `or`, `not`";
    if (first == '<' || first == '>' || (n == 2 && at[1] == '=' && strchr("<>=!", first)))
        return "comparisons do not chain: say `a < b and b < c`";
    if (first == '?') return "choose by `if test { a } else { b }`, of tensors by where(test, a, b)";
    if (n == 2 && !strncmp(at, "if", 2)) return "the test comes first: `if test { a } else { b }`";
    return NULL;
}
