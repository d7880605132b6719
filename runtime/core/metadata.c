/* metadata.c - the "__metadata__" object of a checkpoint: what it holds beside tensors, as text.
 *
 * In: a State, or the JSON of one. Out: the other. Every value is a string, as the format demands:
 *   dlcc.checkpoint "1"      dlcc.fingerprint hex      dlcc.seed decimal      dlcc.position 8 decimals
 *   dlcc.count.FUNCTION decimal                        dlcc.checksum.TENSOR hex
 *   dlcc.checksum hex, over all the keys and values above in any order
 * Keys that do not begin with "dlcc." belong to others and are passed over.
 *
 * Also here: variables by name, and the nearest one for a message.
 */
#include "core.h"
#include <string.h>

static uint64_t pair_sum(const char *prefix, const char *name, size_t name_length, const char *value, size_t length) {
    return dlrt_checksum(value, length, dlrt_checksum(name, name_length, dlrt_checksum(prefix, strlen(prefix), 0)));
}

/* JSON text of a name, without the quotes. */
static void say_escaped(Message *m, const char *s) {
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            dlrt_say(m, "\\%.*s", 1, s);
        else if ((unsigned char)*s < 0x20)
            dlrt_say(m, "\\u00%lx%lx", (unsigned long)*s >> 4, (unsigned long)*s & 15);
        else
            dlrt_say(m, "%.*s", 1, s);
    }
}

void dlrt_say_json_name(Message *m, const char *s) {
    dlrt_say(m, "\"");
    say_escaped(m, s);
    dlrt_say(m, "\"");
}

static void say_pair(Message *m, uint64_t *sum, const char *prefix, const char *name, const Message *value) {
    dlrt_say(m, ",\"%s", prefix);
    say_escaped(m, name);
    dlrt_say(m, "\":\"%s\"", value->text);
    *sum ^= pair_sum(prefix, name, strlen(name), value->text, value->length);
}

static void say_number(Message *m, uint64_t *sum, const char *prefix, const char *name, uint64_t number, bool hex) {
    char text[24];
    Message value = dlrt_message_in(text, sizeof text);
    dlrt_say(&value, hex ? "%llx" : "%llu", (unsigned long long)number);
    say_pair(m, sum, prefix, name, &value);
}

void dlrt_state_print(Message *m, const DlrtModelInfo *info, const State *state, const Entry *entries) {
    char text[8 * 24];
    Message value = dlrt_message_in(text, sizeof text);
    uint64_t sum = 0, ignored = 0;
    for (int i = 0; i < 8; i++) dlrt_say(&value, i ? " %llu" : "%llu", (unsigned long long)state->position.value[i]);
    say_number(m, &sum, "dlcc.checkpoint", "", 1, false);
    say_number(m, &sum, "dlcc.fingerprint", "", state->fingerprint, true);
    say_number(m, &sum, "dlcc.seed", "", state->seed, false);
    say_pair(m, &sum, "dlcc.position", "", &value);
    for (int32_t f = 0; f < info->function_count; f++)
        say_number(m, &sum, "dlcc.count.", info->functions[f].name, (uint64_t)state->counts[f], false);
    for (int32_t v = 0; v < info->var_count; v++)
        say_number(m, &sum, "dlcc.checksum.", info->vars[v].name, entries[v].sum, true);
    say_number(m, &ignored, "dlcc.checksum", "", sum, true);
}

/* A whole unsigned number in text[*at ..]; moves *at behind it. */
static bool read_number(JsonText s, size_t *at, unsigned base, uint64_t *number) {
    size_t start = *at;
    *number = 0;
    for (; *at < s.length; ++*at) {
        char c = s.text[*at];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 99;
        if (digit >= base) break;
        if (__builtin_mul_overflow(*number, (uint64_t)base, number)) return false;
        if (__builtin_add_overflow(*number, (uint64_t)digit, number)) return false;
    }
    return *at > start;
}

static bool only_number(JsonText s, unsigned base, uint64_t *number) {
    size_t at = 0;
    return read_number(s, &at, base, number) && at == s.length;
}

static bool read_position(JsonText s, DlrtPosition *position) {
    size_t at = 0;
    for (int i = 0; i < 8; i++) {
        if (i && (at >= s.length || s.text[at++] != ' ')) return false;
        if (!read_number(s, &at, 10, &position->value[i])) return false;
    }
    return at == s.length;
}

/* If key begins with the prefix, its rest. */
static bool after(JsonText key, const char *prefix, JsonText *rest) {
    size_t n = strlen(prefix);
    if (key.length < n || memcmp(key.text, prefix, n)) return false;
    *rest = (JsonText){key.text + n, key.length - n};
    return true;
}

static bool read_count(JsonText name, JsonText value, const DlrtModelInfo *info, State *state) {
    uint64_t number;
    if (!only_number(value, 10, &number) || number > INT64_MAX) return false;
    for (int32_t f = 0; f < info->function_count; f++)
        if (dlrt_text_is(name, info->functions[f].name) && state->counts) state->counts[f] = (int64_t)number;
    return true;
}

static bool read_sum(JsonText name, JsonText value, const DlrtModelInfo *info, Entry *entries) {
    uint64_t number;
    int32_t v = dlrt_var_find(info, name.text, name.length);
    if (!only_number(value, 16, &number)) return false;
    if (v < 0) return true; /* the tensor itself will be reported */
    entries[v].sum = number;
    entries[v].has_sum = true;
    return true;
}

static bool read_pair(JsonText key, JsonText value, const DlrtModelInfo *info, State *state, Entry *entries) {
    JsonText name = {key.text, 0};
    const char *prefix = NULL;
    bool good = true;
    uint64_t version;
    if (dlrt_text_is(key, "dlcc.checksum")) return state->has_sum = only_number(value, 16, &state->sum);
    if (dlrt_text_is(key, prefix = "dlcc.checkpoint"))
        good = state->is_checkpoint = only_number(value, 10, &version) && version == 1;
    else if (dlrt_text_is(key, prefix = "dlcc.fingerprint"))
        good = state->has_fingerprint = only_number(value, 16, &state->fingerprint);
    else if (dlrt_text_is(key, prefix = "dlcc.seed"))
        good = state->has_seed = only_number(value, 10, &state->seed);
    else if (dlrt_text_is(key, prefix = "dlcc.position"))
        good = state->has_position = read_position(value, &state->position);
    else if (after(key, prefix = "dlcc.count.", &name))
        good = read_count(name, value, info, state);
    else if (after(key, prefix = "dlcc.checksum.", &name))
        good = read_sum(name, value, info, entries);
    else
        return true;
    state->sum_found ^= pair_sum(prefix, name.text, name.length, value.text, value.length);
    return good;
}

bool dlrt_state_parse(Json *j, const DlrtModelInfo *info, State *state, Entry *entries) {
    if (!dlrt_json_expect(j, '{', "expected the object of __metadata__")) return false;
    if (dlrt_json_take(j, '}')) return true;
    do {
        JsonText key, value;
        if (!dlrt_json_string(j, &key) || !dlrt_json_expect(j, ':', "expected :") || !dlrt_json_string(j, &value))
            return false;
        if (!read_pair(key, value, info, state, entries)) return dlrt_json_fail(j, "a bad value in the metadata");
    } while (dlrt_json_take(j, ','));
    return dlrt_json_expect(j, '}', "expected , or } in __metadata__");
}

int32_t dlrt_var_find(const DlrtModelInfo *info, const char *name, size_t length) {
    for (int32_t v = 0; v < info->var_count; v++)
        if (dlrt_text_is((JsonText){name, length}, info->vars[v].name)) return v;
    return -1;
}

#define NEAR_LENGTH 96

/* Edits between two names of at most NEAR_LENGTH letters (Levenshtein, one row). */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length) {
    size_t row[NEAR_LENGTH + 1];
    for (size_t i = 0; i <= b_length; i++) row[i] = i;
    for (size_t i = 0; i < a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < b_length; k++) {
            size_t change = diagonal + (a[i] != b[k]);
            diagonal = row[k + 1];
            if (row[k] + 1 < change) change = row[k] + 1;
            if (row[k + 1] + 1 < change) change = row[k + 1] + 1;
            row[k + 1] = change;
        }
    }
    return row[b_length];
}

int32_t dlrt_var_nearest(const DlrtModelInfo *info, const char *name, size_t length) {
    int32_t best = -1;
    size_t least = length / 2 + 1;
    if (length > NEAR_LENGTH) return -1;
    for (int32_t v = 0; v < info->var_count; v++) {
        size_t n = strlen(info->vars[v].name);
        if (n > NEAR_LENGTH) continue;
        size_t edits = distance(name, length, info->vars[v].name, n);
        if (edits < least) least = edits, best = v;
    }
    return best;
}
