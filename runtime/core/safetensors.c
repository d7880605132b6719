/* safetensors.c - variables of a model to and from a safetensors file.
 *
 * In: a model, the kinds of variables meant, where their blocks are. Out: a file as PyTorch and others
 * read it (8 bytes of header length, a JSON header padded to 8 bytes, the tensors without gaps, larger
 * element types first so that each is aligned), or the variables from one.
 *
 * Reading holds: no size that the file declares is believed before it has been compared with the file's
 * own size and with the model; nothing of the model changes unless all of the file is right. For that the
 * tensors are read into a copy of the blocks, which is allocated for the time of the call.
 * Any order of keys, any white space and foreign metadata are accepted. A tensor that the model does not
 * have is an error which names the nearest one it has: most often it is a misspelt or renamed layer.
 */
#include "core.h"
#include <string.h>

#define MAX_HEADER 100000000 /* as the reference implementation */

unsigned char *dlrt_var_place(const DlrtVarInfo *v, const Blocks *blocks) {
    return blocks->of[v->kind] + v->offset;
}

static bool is_meant(const DlrtVarInfo *v, unsigned kinds) {
    return kinds >> v->kind & 1;
}

/* ------------------------------------------------------------------ writing */

typedef struct Plan { /* what a writer needs to know */
    const Model *model;
    const DlrtModelInfo *info;
    const Blocks *blocks;
    const State *state;
    Entry *entries;
    unsigned char *logical; /* room for the largest variable that must be reordered */
    int64_t logical_bytes, header_bytes;
    char *header;
    unsigned kinds;
} Plan;

static const unsigned char *logical_bytes(const Plan *p, const DlrtVarInfo *v) {
    const unsigned char *place = dlrt_var_place(v, p->blocks);
    if (!v->order) return place;
    dlrt_var_read(v, place, p->logical);
    return p->logical;
}

/* Gives each variable its place in the file: by size of element, then in the model's order. */
static void place_tensors(Plan *p) {
    int64_t at = 0;
    for (int64_t size = 8; size; size /= 2)
        for (int32_t i = 0; i < p->info->var_count; i++) {
            const DlrtVarInfo *v = &p->info->vars[i];
            if (!is_meant(v, p->kinds) || dlrt_dtype_bytes(v->dtype) != size) continue;
            p->entries[i].begin = at;
            p->entries[i].end = at += dlrt_var_bytes(v);
            if (p->state) p->entries[i].sum = dlrt_checksum(logical_bytes(p, v), (size_t)dlrt_var_bytes(v), 0);
        }
}

static void print_header(const Plan *p, Message *m) {
    dlrt_say(m, "{\"__metadata__\":{\"format\":\"pt\"");
    if (p->state) dlrt_state_print(m, p->info, p->state, p->entries);
    dlrt_say(m, "}");
    for (int32_t i = 0; i < p->info->var_count; i++) {
        const DlrtVarInfo *v = &p->info->vars[i];
        if (!is_meant(v, p->kinds)) continue;
        dlrt_say(m, ",");
        dlrt_say_json_name(m, v->name);
        dlrt_say(m, ":{\"dtype\":\"%s\",\"shape\":", dlrt_dtype_file_name(v->dtype));
        dlrt_say_shape(m, v->shape, v->rank);
        dlrt_say(m, ",\"data_offsets\":[%lld,%lld]}", (long long)p->entries[i].begin, (long long)p->entries[i].end);
    }
    dlrt_say(m, "}");
    while (m->length % 8) dlrt_say(m, " ");
}

/* Allocates what the plan needs and fills it in. */
static DlrtStatus make_plan(Plan *p, Message *m) {
    const DlrtAllocator *a = &p->model->allocator;
    for (int32_t i = 0; i < p->info->var_count; i++) {
        const DlrtVarInfo *v = &p->info->vars[i];
        if (is_meant(v, p->kinds) && v->order && dlrt_var_bytes(v) > p->logical_bytes)
            p->logical_bytes = dlrt_var_bytes(v);
    }
    size_t entry_bytes = ((size_t)p->info->var_count + 1) * sizeof(Entry);
    p->entries = dlrt_allocate(a, entry_bytes);
    if (!p->entries) return dlrt_out_of_memory(m, (int64_t)entry_bytes);
    memset(p->entries, 0, entry_bytes);
    if (p->logical_bytes && !(p->logical = dlrt_allocate(a, (size_t)p->logical_bytes)))
        return dlrt_out_of_memory(m, p->logical_bytes);
    place_tensors(p);
    Message measure = {NULL, 0, 0};
    print_header(p, &measure);
    p->header_bytes = (int64_t)measure.length;
    p->header = dlrt_allocate(a, measure.length + 1);
    if (!p->header) return dlrt_out_of_memory(m, p->header_bytes);
    Message text = dlrt_message_in(p->header, measure.length + 1);
    print_header(p, &text);
    return DLRT_OK;
}

static void free_plan(Plan *p) {
    const DlrtAllocator *a = &p->model->allocator;
    dlrt_release(a, p->header, (size_t)p->header_bytes + 1);
    dlrt_release(a, p->logical, (size_t)p->logical_bytes);
    dlrt_release(a, p->entries, ((size_t)p->info->var_count + 1) * sizeof(Entry));
}

static DlrtStatus write_tensors(const Plan *p, Writer *w) {
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)p->header_bytes >> 8 * i);
    DlrtStatus status = dlrt_writer_write(w, length, 8);
    if (!status) status = dlrt_writer_write(w, p->header, p->header_bytes);
    for (int64_t size = 8; size; size /= 2)
        for (int32_t i = 0; i < p->info->var_count && !status; i++) {
            const DlrtVarInfo *v = &p->info->vars[i];
            if (is_meant(v, p->kinds) && dlrt_dtype_bytes(v->dtype) == size)
                status = dlrt_writer_write(w, logical_bytes(p, v), dlrt_var_bytes(v));
        }
    return status;
}

DlrtStatus dlrt_tensors_write(const Model *model, const char *path, unsigned kinds, const Blocks *blocks,
                              const State *state, Message *m) {
    Plan p = {.model = model, .info = model->head.info, .blocks = blocks, .state = state, .kinds = kinds};
    Writer w;
    DlrtStatus status = make_plan(&p, m);
    if (!status) {
        status = dlrt_writer_open(&w, &model->files, &model->allocator, path, m);
        if (!status) status = write_tensors(&p, &w);
        status = dlrt_writer_close(&w, status);
    }
    free_plan(&p);
    return status;
}

/* ------------------------------------------------------------------ reading */

typedef struct Load {
    Model *model;
    const DlrtModelInfo *info;
    State *state;
    Message *m;
    Reader reader;
    unsigned kinds;
    int64_t header_bytes, data_bytes;
    char *header;
    Entry *entries;
    int32_t *order; /* variables in the file, by place */
    int32_t found;
    Blocks copy;
    int64_t copy_bytes[4];
    unsigned char *logical; /* room for the largest variable that must be reordered */
    int64_t logical_bytes;
} Load;

/* "PATH: offset N: " - the rest is the caller's. */
static DlrtStatus malformed(Load *l, int64_t offset) {
    dlrt_say(l->m, "%s: offset %lld: ", l->reader.path, (long long)offset);
    return DLRT_ERR_FORMAT;
}

static DlrtStatus read_header(Load *l) {
    unsigned char length[8];
    uint64_t declared = 0;
    if (l->reader.size < 8) {
        DlrtStatus status = malformed(l, l->reader.size);
        dlrt_say(l->m, "the file has %lld bytes, too few for safetensors", (long long)l->reader.size);
        return status;
    }
    DlrtStatus status = dlrt_reader_read(&l->reader, length, 8);
    if (status) return status;
    for (int i = 0; i < 8; i++) declared |= (uint64_t)length[i] << 8 * i;
    if (declared > MAX_HEADER || (int64_t)declared > l->reader.size - 8 || declared < 2) {
        status = malformed(l, 0);
        dlrt_say(l->m, "the header is said to have %llu bytes, the file has %lld; is this safetensors?",
                 (unsigned long long)declared, (long long)l->reader.size);
        return status;
    }
    l->header = dlrt_allocate(&l->model->allocator, (size_t)declared);
    if (!l->header) return dlrt_out_of_memory(l->m, (int64_t)declared);
    l->header_bytes = (int64_t)declared;
    l->data_bytes = l->reader.size - 8 - l->header_bytes;
    return dlrt_reader_read(&l->reader, l->header, l->header_bytes);
}

typedef struct Tensor { /* one tensor of the header */
    JsonText dtype;
    int64_t shape[DLRT_MAX_RANK], begin, end, elements;
    int32_t rank;
    bool has_dtype, has_shape, has_offsets;
} Tensor;

static bool parse_shape(Json *j, Tensor *t) {
    t->elements = 1;
    if (!dlrt_json_expect(j, '[', "expected [ of the shape")) return false;
    if (dlrt_json_take(j, ']')) return true;
    do {
        int64_t extent;
        if (!dlrt_json_integer(j, &extent)) return false;
        if (__builtin_mul_overflow(t->elements, extent, &t->elements)) return dlrt_json_fail(j, "the shape overflows");
        if (t->rank < DLRT_MAX_RANK) t->shape[t->rank] = extent;
        if (++t->rank > 64) return dlrt_json_fail(j, "too many dims");
    } while (dlrt_json_take(j, ','));
    return dlrt_json_expect(j, ']', "expected , or ] in the shape");
}

static bool parse_offsets(Json *j, Tensor *t) {
    return dlrt_json_expect(j, '[', "expected [ of data_offsets") && dlrt_json_integer(j, &t->begin) &&
           dlrt_json_expect(j, ',', "data_offsets needs two numbers") && dlrt_json_integer(j, &t->end) &&
           dlrt_json_expect(j, ']', "data_offsets needs two numbers") &&
           (t->begin <= t->end || dlrt_json_fail(j, "data_offsets end before they begin"));
}

static bool parse_field(Json *j, Tensor *t) {
    JsonText key;
    if (!dlrt_json_string(j, &key) || !dlrt_json_expect(j, ':', "expected :")) return false;
    bool *has = dlrt_text_is(key, "dtype")          ? &t->has_dtype
                : dlrt_text_is(key, "shape")        ? &t->has_shape
                : dlrt_text_is(key, "data_offsets") ? &t->has_offsets
                                                    : NULL;
    if (!has) return dlrt_json_skip(j);
    if (*has) return dlrt_json_fail(j, "a field is given twice");
    *has = true;
    if (has == &t->has_dtype) return dlrt_json_string(j, &t->dtype);
    return has == &t->has_shape ? parse_shape(j, t) : parse_offsets(j, t);
}

static bool parse_tensor(Json *j, Tensor *t) {
    *t = (Tensor){0};
    if (!dlrt_json_expect(j, '{', "expected the object of a tensor")) return false;
    do {
        if (!parse_field(j, t)) return false;
    } while (dlrt_json_take(j, ','));
    if (!dlrt_json_expect(j, '}', "expected , or } in a tensor")) return false;
    if (!t->has_dtype || !t->has_shape || !t->has_offsets)
        return dlrt_json_fail(j, "a tensor needs dtype, shape and data_offsets");
    return true;
}

static void say_tensor(Message *m, const Tensor *t) {
    dlrt_say(m, "%.*s ", (int)(t->dtype.length < 32 ? t->dtype.length : 32), t->dtype.text);
    dlrt_say_shape(m, t->shape, t->rank < DLRT_MAX_RANK ? t->rank : DLRT_MAX_RANK);
}

static DlrtStatus unknown_tensor(Load *l, JsonText name, int64_t offset) {
    int32_t near = dlrt_var_nearest(l->info, name.text, name.length);
    malformed(l, offset);
    dlrt_say(l->m, "the model has no tensor %.*s", (int)(name.length < 100 ? name.length : 100), name.text);
    if (near >= 0) dlrt_say(l->m, "; the nearest is %s", l->info->vars[near].name);
    return DLRT_ERR_MISMATCH;
}

static DlrtStatus wrong_tensor(Load *l, const DlrtVarInfo *v, const Tensor *t, int64_t offset) {
    malformed(l, offset);
    dlrt_say(l->m, "%s is ", v->name);
    say_tensor(l->m, t);
    dlrt_say(l->m, ", the model has %s ", dlrt_dtype_file_name(v->dtype));
    dlrt_say_shape(l->m, v->shape, v->rank);
    return DLRT_ERR_MISMATCH;
}

/* The tensor against the file's size and the model's variable. */
static DlrtStatus accept_tensor(Load *l, JsonText name, const Tensor *t, int64_t offset) {
    int32_t i = dlrt_var_find(l->info, name.text, name.length);
    DlrtStatus status = DLRT_ERR_FORMAT;
    const char *shown = name.text;
    int length = (int)(name.length < 100 ? name.length : 100);
    if (t->end > l->data_bytes) {
        malformed(l, offset);
        dlrt_say(l->m, "%.*s ends at byte %lld of the data, the file has %lld", length, shown, (long long)t->end,
                 (long long)l->data_bytes);
        return status;
    }
    if (i < 0) return unknown_tensor(l, name, offset);
    const DlrtVarInfo *v = &l->info->vars[i];
    bool same = dlrt_text_is(t->dtype, dlrt_dtype_file_name(v->dtype)) && t->rank == v->rank;
    for (int32_t d = 0; same && d < v->rank; d++) same = t->shape[d] == v->shape[d];
    if (!same) return wrong_tensor(l, v, t, offset);
    if (t->end - t->begin != dlrt_var_bytes(v)) {
        malformed(l, offset);
        dlrt_say(l->m, "%s of ", v->name);
        say_tensor(l->m, t);
        dlrt_say(l->m, " has %lld bytes in the file", (long long)(t->end - t->begin));
        return status;
    }
    if (l->entries[i].seen) {
        malformed(l, offset);
        dlrt_say(l->m, "%s is given twice", v->name);
        return status;
    }
    l->entries[i].seen = true;
    l->entries[i].begin = t->begin;
    l->entries[i].end = t->end;
    l->order[l->found++] = i;
    return DLRT_OK;
}

/* One key of the header with its value. Returns false on an error of the JSON or with *status set. */
static bool parse_item(Load *l, Json *j, DlrtStatus *status) {
    JsonText name;
    Tensor t;
    int64_t offset = 8 + (j->at - j->begin);
    if (!dlrt_json_string(j, &name) || !dlrt_json_expect(j, ':', "expected :")) return false;
    if (dlrt_text_is(name, "__metadata__")) return dlrt_state_parse(j, l->info, l->state, l->entries);
    if (!parse_tensor(j, &t)) return false;
    *status = accept_tensor(l, name, &t, offset);
    return *status == DLRT_OK;
}

static DlrtStatus parse_header(Load *l) {
    Json j = {l->header, l->header, l->header + l->header_bytes, NULL};
    DlrtStatus status = DLRT_OK;
    bool good = dlrt_json_expect(&j, '{', "expected the object of the header");
    if (good && !dlrt_json_take(&j, '}')) {
        do good = parse_item(l, &j, &status);
        while (good && dlrt_json_take(&j, ','));
        good = good && dlrt_json_expect(&j, '}', "expected , or } in the header");
    }
    good = good && dlrt_json_end(&j);
    if (good || status) return status;
    status = malformed(l, 8 + (j.at - j.begin));
    dlrt_say(l->m, "%s", j.error);
    return status;
}

/* Sorts the tensors by place; they must follow each other without gap or overlap to the file's end. */
static DlrtStatus check_places(Load *l) {
    int64_t at = 0, data_start = 8 + l->header_bytes;
    for (int32_t i = 1; i < l->found; i++) {
        int32_t v = l->order[i], k = i;
        const Entry *e = &l->entries[v];
        for (; k > 0; k--) {
            const Entry *before = &l->entries[l->order[k - 1]];
            if (before->begin < e->begin || (before->begin == e->begin && before->end <= e->end)) break;
            l->order[k] = l->order[k - 1];
        }
        l->order[k] = v;
    }
    for (int32_t i = 0; i < l->found; i++) {
        const Entry *e = &l->entries[l->order[i]];
        if (e->begin != at) {
            malformed(l, data_start + e->begin);
            dlrt_say(l->m, "%s begins at byte %lld of the data, the tensor before it ends at %lld",
                     l->info->vars[l->order[i]].name, (long long)e->begin, (long long)at);
            return DLRT_ERR_FORMAT;
        }
        at = e->end;
    }
    if (at == l->data_bytes) return DLRT_OK;
    malformed(l, data_start + at);
    dlrt_say(l->m, "%lld bytes follow the last tensor", (long long)(l->data_bytes - at));
    return DLRT_ERR_FORMAT;
}

static DlrtStatus check_complete(Load *l) {
    int32_t missing = 0, first = -1;
    for (int32_t i = 0; i < l->info->var_count; i++) {
        if (!is_meant(&l->info->vars[i], l->kinds) || l->entries[i].seen) continue;
        if (!missing++) first = i;
    }
    if (!missing) return DLRT_OK;
    dlrt_say(l->m, "%s: offset 8: the tensor %s is missing", l->reader.path, l->info->vars[first].name);
    if (missing > 1) dlrt_say(l->m, ", and %d more", missing - 1);
    return DLRT_ERR_MISMATCH;
}

static DlrtStatus check_state(Load *l, bool checkpoint) {
    const State *s = l->state;
    if (!s->is_checkpoint) {
        if (!checkpoint) return DLRT_OK;
        dlrt_say(l->m, "%s: offset 8: the file holds tensors but is no checkpoint", l->reader.path);
        return DLRT_ERR_MISMATCH;
    }
    if (!s->has_fingerprint || !s->has_seed || !s->has_position || !s->has_sum) {
        malformed(l, 8);
        dlrt_say(l->m, "the checkpoint's metadata is incomplete");
        return DLRT_ERR_FORMAT;
    }
    if (s->sum != s->sum_found) {
        malformed(l, 8);
        dlrt_say(l->m, "the metadata do not match their checksum");
        return DLRT_ERR_CHECKSUM;
    }
    if (s->fingerprint == l->info->fingerprint) return DLRT_OK;
    malformed(l, 8);
    dlrt_say(l->m, "the checkpoint is of another model");
    return DLRT_ERR_MISMATCH;
}

static DlrtStatus allocate_entries(Load *l) {
    size_t count = (size_t)l->info->var_count + 1, bytes = count * (sizeof(Entry) + sizeof(int32_t));
    l->entries = dlrt_allocate(&l->model->allocator, bytes);
    if (!l->entries) return dlrt_out_of_memory(l->m, (int64_t)bytes);
    memset(l->entries, 0, bytes);
    l->order = (int32_t *)(l->entries + count);
    return DLRT_OK;
}

/* The copies of the blocks, and room to reorder. Weights (param and state) are one block. */
static DlrtStatus allocate_copy(Load *l) {
    const DlrtModelInfo *info = l->info;
    const int64_t bytes[4] = {info->weight_bytes, 0, info->slot_bytes, info->cache_bytes};
    for (int32_t i = 0; i < info->var_count; i++) {
        const DlrtVarInfo *v = &info->vars[i];
        if (is_meant(v, l->kinds) && v->order && dlrt_var_bytes(v) > l->logical_bytes)
            l->logical_bytes = dlrt_var_bytes(v);
    }
    if (l->logical_bytes && !(l->logical = dlrt_allocate(&l->model->allocator, (size_t)l->logical_bytes)))
        return dlrt_out_of_memory(l->m, l->logical_bytes);
    for (int kind = 0; kind < 4; kind++) {
        if (!bytes[kind] || !(l->kinds >> kind & 1)) continue;
        l->copy.of[kind] = dlrt_allocate(&l->model->allocator, (size_t)bytes[kind]);
        if (!l->copy.of[kind]) return dlrt_out_of_memory(l->m, bytes[kind]);
        l->copy_bytes[kind] = bytes[kind];
    }
    return DLRT_OK;
}

static DlrtStatus pass_over(Load *l, int64_t bytes) {
    unsigned char unused[4096];
    DlrtStatus status = DLRT_OK;
    for (int64_t part; bytes > 0 && !status; bytes -= part) {
        part = bytes < (int64_t)sizeof unused ? bytes : (int64_t)sizeof unused;
        status = dlrt_reader_read(&l->reader, unused, part);
    }
    return status;
}

static DlrtStatus read_tensor(Load *l, int32_t i) {
    const DlrtVarInfo *v = &l->info->vars[i];
    int64_t bytes = dlrt_var_bytes(v), offset = l->reader.at;
    Blocks place = {{l->copy.of[0], l->copy.of[0], l->copy.of[2], l->copy.of[3]}};
    if (!is_meant(v, l->kinds)) return pass_over(l, bytes);
    unsigned char *physical = dlrt_var_place(v, &place), *to = v->order ? l->logical : physical;
    DlrtStatus status = dlrt_reader_read(&l->reader, to, bytes);
    if (status) return status;
    if (l->state->is_checkpoint &&
        (!l->entries[i].has_sum || dlrt_checksum(to, (size_t)bytes, 0) != l->entries[i].sum)) {
        malformed(l, offset);
        dlrt_say(l->m, "%s does not match its checksum", v->name);
        return DLRT_ERR_CHECKSUM;
    }
    if (v->order) dlrt_var_write(v, physical, to);
    return DLRT_OK;
}

static DlrtStatus read_all(Load *l, const Blocks *blocks, bool checkpoint, const char *path) {
    DlrtStatus status = dlrt_reader_open(&l->reader, &l->model->files, path, l->m);
    if (!status) status = read_header(l);
    if (!status) status = allocate_entries(l);
    if (!status) status = parse_header(l);
    if (!status) status = check_state(l, checkpoint);
    if (!status) status = check_places(l);
    if (!status) status = check_complete(l);
    if (!status) status = allocate_copy(l);
    /* Gaps between variables keep what they hold, so that the model stays equal to one that was trained here. */
    for (int kind = 0; kind < 4 && !status; kind++)
        if (l->copy_bytes[kind]) memcpy(l->copy.of[kind], blocks->of[kind], (size_t)l->copy_bytes[kind]);
    for (int32_t i = 0; i < l->found && !status; i++) status = read_tensor(l, l->order[i]);
    return status;
}

static void free_load(Load *l) {
    const DlrtAllocator *a = &l->model->allocator;
    dlrt_reader_close(&l->reader);
    for (int kind = 3; kind >= 0; kind--) dlrt_release(a, l->copy.of[kind], (size_t)l->copy_bytes[kind]);
    dlrt_release(a, l->logical, (size_t)l->logical_bytes);
    dlrt_release(a, l->entries, ((size_t)l->info->var_count + 1) * (sizeof(Entry) + sizeof(int32_t)));
    dlrt_release(a, l->header, (size_t)l->header_bytes);
}

DlrtStatus dlrt_tensors_read(Model *model, const char *path, unsigned kinds, const Blocks *blocks, State *state,
                             bool checkpoint, Message *m) {
    Load l = {.model = model, .info = model->head.info, .state = state, .m = m, .kinds = kinds};
    l.reader.handle = -1;
    DlrtStatus status = read_all(&l, blocks, checkpoint, path);
    for (int kind = 0; kind < 4 && !status; kind++)
        if (l.copy_bytes[kind]) memcpy(blocks->of[kind], l.copy.of[kind], (size_t)l.copy_bytes[kind]);
    free_load(&l);
    return status;
}
