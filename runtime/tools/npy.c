/* npy.c - NumPy's NPY format, versions 1 to 3; read and written.
 *
 * In: bytes: "\x93NUMPY", version, header length, a Python dictionary as text, the elements. Out: an array
 * in row-major order, or a reason with file and offset. Big-endian and column-major files are turned.
 */
#include "tool.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct Header {
    char kind; /* f i u b */
    int size;  /* bytes of an element in the file */
    bool big, columns;
} Header;

/* The text behind 'key': in the dictionary, or null. */
static const char *value_of(const char *text, const char *key) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *at = strstr(text, quoted);
    if (!at) return NULL;
    at += strlen(quoted);
    while (isspace((unsigned char)*at)) at++;
    if (*at++ != ':') return NULL;
    while (isspace((unsigned char)*at)) at++;
    return at;
}

static bool parse_descr(Source *s, const char *at, int64_t start, const char *text, Header *h) {
    char code[8] = "";
    if (!at || (*at != '\'' && *at != '"')) return source_fail(s, start, "the header has no simple 'descr'");
    for (int i = 0; i < 7 && at[i + 1] && at[i + 1] != *at; i++) code[i] = at[i + 1];
    h->big = code[0] == '>';
    h->kind = code[1];
    h->size = atoi(code + 2);
    static const char *const known[] = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (code[0] && strchr("<>|=", code[0]) && !strcmp(code + 1, known[i])) return true;
    return source_fail(s, start + (at - text), "the element type '%s' is not supported", code);
}

static bool parse_shape(Source *s, const char *at, int64_t start, const char *text, Array *a, int64_t *bytes) {
    if (!at || *at != '(') return source_fail(s, start, "the header has no 'shape'");
    at++;
    for (;;) {
        while (isspace((unsigned char)*at) || *at == ',') at++;
        if (*at == ')') return true;
        char *end;
        errno = 0;
        long long extent = strtoll(at, &end, 10);
        if (end == at || errno || extent < 0) return source_fail(s, start + (at - text), "a bad extent in the shape");
        if (a->rank == DLRT_MAX_RANK) return source_fail(s, start + (at - text), "more than %d dims", DLRT_MAX_RANK);
        if (__builtin_mul_overflow(*bytes, (int64_t)extent, bytes))
            return source_fail(s, start + (at - text), "the shape overflows");
        a->shape[a->rank++] = extent;
        at = end;
    }
}

static bool parse_header(Source *s, const char *text, int64_t start, Array *a, Header *h, int64_t *bytes) {
    const char *order = value_of(text, "fortran_order");
    if (!parse_descr(s, value_of(text, "descr"), start, text, h)) return false;
    if (!order || (strncmp(order, "True", 4) && strncmp(order, "False", 5)))
        return source_fail(s, start, "the header has no 'fortran_order'");
    h->columns = *order == 'T';
    *bytes = h->size;
    return parse_shape(s, value_of(text, "shape"), start, text, a, bytes);
}

static uint64_t raw_element(const unsigned char *p, const Header *h) {
    uint64_t bits = 0;
    for (int i = 0; i < h->size; i++) bits |= (uint64_t)p[h->big ? h->size - 1 - i : i] << 8 * i;
    return bits;
}

static int32_t target_dtype(const Header *h) {
    if (h->kind == 'f') return h->size == 2 ? DLRT_F16 : h->size == 4 ? DLRT_F32 : DLRT_F64;
    if (h->kind == 'b') return DLRT_BOOL;
    if (h->size == 1) return h->kind == 'u' ? DLRT_U8 : DLRT_I8;
    return h->size == 2 || (h->size == 4 && h->kind == 'i') ? DLRT_I32 : DLRT_I64;
}

static bool put_element(Array *a, int64_t i, uint64_t bits, const Header *h) {
    if (h->kind != 'i' && h->kind != 'u') {
        unsigned char *to = (unsigned char *)a->data + i * h->size;
        if (h->kind == 'b')
            *to = bits != 0;
        else if (h->size == 2)
            memcpy(to, &(uint16_t){(uint16_t)bits}, 2);
        else if (h->size == 4)
            memcpy(to, &(uint32_t){(uint32_t)bits}, 4);
        else
            memcpy(to, &bits, 8);
        return true;
    }
    if (h->kind == 'i' && h->size < 8) { /* extend the sign */
        uint64_t sign = (uint64_t)1 << (h->size * 8 - 1);
        bits = (bits ^ sign) - sign;
    }
    return (h->kind == 'i' || bits <= INT64_MAX) && store_integer(a->dtype, a->data, i, (int64_t)bits);
}

/* Elements of the file, in its order, into a->data in row-major order. */
static bool convert(Source *s, Array *a, const Header *h, const unsigned char *raw, int64_t start) {
    int64_t index[DLRT_MAX_RANK] = {0}, stride[DLRT_MAX_RANK], step = 1;
    for (int32_t d = a->rank - 1; d >= 0; d--) stride[d] = step, step *= a->shape[d];
    int64_t to = 0;
    for (int64_t i = 0; i < a->count; i++) {
        if (!put_element(a, h->columns ? to : i, raw_element(raw + i * h->size, h), h))
            return source_fail(s, start + i * h->size, "an integer above 2^63 - 1");
        for (int32_t d = 0; h->columns && d < a->rank; d++) { /* the first dim runs fastest */
            to += stride[d];
            if (++index[d] < a->shape[d]) break;
            to -= stride[d] * a->shape[d];
            index[d] = 0;
        }
    }
    return true;
}

static bool read_elements(Source *s, Array *a, const Header *h, int64_t bytes) {
    void *raw = NULL;
    int64_t start = s->offset, size;
    a->dtype = target_dtype(h);
    a->count = bytes / h->size;
    if (!source_read_rest(s, bytes, &raw)) return false;
    bool good = !__builtin_mul_overflow(a->count, dlrt_dtype_bytes(a->dtype), &size);
    a->data = good ? malloc(size ? (size_t)size : 1) : NULL;
    good = a->data ? convert(s, a, h, raw, start) : error_set(s->error, "%s: out of memory", s->path);
    free(raw);
    return good;
}

bool read_npy(Source *s, Array *a) {
    unsigned char head[12];
    Header h = {0};
    int64_t bytes = 0;
    *a = (Array){0};
    if (!source_read(s, head, 10)) return false;
    if (memcmp(head, "\x93NUMPY", 6)) return source_fail(s, 0, "this is no NPY file");
    int64_t length = head[8] | head[9] << 8;
    if (head[6] < 1 || head[6] > 3) return source_fail(s, 6, "NPY version %d is not known", head[6]);
    if (head[6] > 1) {
        if (!source_read(s, head + 10, 2)) return false;
        length |= (int64_t)head[10] << 16 | (int64_t)head[11] << 24;
    }
    if (length > 1 << 20 || (s->size >= 0 && length > s->size - s->offset))
        return source_fail(s, 8, "the header is said to have %lld bytes", (long long)length);
    int64_t start = s->offset;
    char *text = calloc((size_t)length + 1, 1);
    if (!text) return error_set(s->error, "%s: out of memory", s->path);
    bool good = source_read(s, text, (size_t)length) && parse_header(s, text, start, a, &h, &bytes) &&
                read_elements(s, a, &h, bytes);
    free(text);
    return good;
}

bool write_npy(const char *path, const DlrtTensor *t, Error *error) {
    static const char *const descr[] = {"<f8", "<f4", "<f2", "<f4", "<i8", "<i4", "|i1", "|u1", "|b1"};
    char head[256] = "\x93NUMPY\x01";
    int at =
        snprintf(head + 10, sizeof head - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr[t->dtype]);
    for (int32_t d = 0; d < t->rank; d++)
        at += snprintf(head + 10 + at, sizeof head - 10 - (size_t)at, "%lld,", (long long)t->shape[d]);
    at += snprintf(head + 10 + at, sizeof head - 10 - (size_t)at, "), }");
    while ((at + 11) % 64) head[10 + at++] = ' ';
    head[10 + at++] = '\n';
    head[8] = (char)(at & 255), head[9] = (char)(at >> 8);
    FILE *file = fopen(path, "wb");
    if (!file) return error_set(error, "%s: cannot be created: %s", path, strerror(errno));
    fwrite(head, 1, (size_t)at + 10, file);
    Array a = {.dtype = t->dtype, .data = t->data};
    for (int64_t i = 0, n = tensor_count(t); i < n; i++) {
        float wide = t->dtype == DLRT_BF16 ? (float)array_real(&a, i) : 0; /* NumPy has no bf16 */
        size_t size = t->dtype == DLRT_BF16 ? 4 : (size_t)dlrt_dtype_bytes(t->dtype);
        fwrite(t->dtype == DLRT_BF16 ? (const void *)&wide : (const char *)t->data + i * (int64_t)size, size, 1, file);
    }
    bool bad = ferror(file);
    if (fclose(file) || bad) return error_set(error, "%s: cannot be written: %s", path, strerror(errno));
    return true;
}
