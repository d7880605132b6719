/* test_readers.c - IDX, NPY and CSV: good files of every kind, and files that are cut, too long or lie. */
#include "support.h"
#undef fail /* cmocka's; dlrun has its own */
#include "tool.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zlib.h>

static void write_gz(const char *path, const void *from, size_t bytes) {
    gzFile f = gzopen(path, "wb");
    assert_int_equal(gzwrite(f, from, (unsigned)bytes), bytes);
    gzclose(f);
}

static Array good(const char *path) {
    Array a;
    Error error;
    if (!read_array(path, &a, &error)) {
        print_error("%s\n", error.text);
        assert_true(false);
    }
    return a;
}

static void refused(const char *path, const char *text) {
    Array a;
    Error error;
    bool read = read_array(path, &a, &error);
    if (read || !strstr(error.text, text))
        print_error("expected: %s\n     got: %s\n", text, read ? "success" : error.text);
    assert_false(read);
    assert_null(a.data);
    assert_non_null(strstr(error.text, text));
    assert_non_null(strstr(error.text, path));
}

static void reads_idx(void **state) {
    (void)state;
    static const unsigned char bytes[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255};
    static const unsigned char shorts[] = {0, 0, 0x0b, 1, 0, 0, 0, 2, 0xff, 0xfe, 1, 0};
    static const unsigned char floats[] = {0, 0, 0x0d, 1, 0, 0, 0, 1, 0x3f, 0xc0, 0, 0};
    write_file("a.idx", bytes, sizeof bytes);
    write_gz("a.idx.gz", bytes, sizeof bytes);
    const char *const both[] = {"a.idx", "a.idx.gz"};
    for (int i = 0; i < 2; i++) {
        Array a = good(both[i]);
        assert_int_equal(a.rank, 2);
        assert_int_equal(a.shape[1], 3);
        assert_int_equal(a.count, 6);
        assert_true(array_real(&a, 5) == 255);
        array_free(&a);
    }
    write_file("s.idx", shorts, sizeof shorts);
    Array s = good("s.idx");
    assert_true(array_real(&s, 0) == -2 && array_real(&s, 1) == 256);
    array_free(&s);
    write_file("f.idx", floats, sizeof floats);
    Array f = good("f.idx");
    assert_true(array_real(&f, 0) == 1.5);
    array_free(&f);
}

static void refuses_idx(void **state) {
    (void)state;
    static unsigned char file[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7};
    write_file("long.idx", file, 19);
    refused("long.idx", "offset 12: the header declares 6 bytes of data, the file has 7");
    write_gz("long.gz", file, 19);
    refused("long.gz", "offset 18 (decompressed): more bytes follow");
    write_file("cut.idx", file, 17);
    refused("cut.idx", "offset 12: the header declares 6 bytes of data, the file has 5");
    write_gz("cut.gz", file, 17);
    refused("cut.gz", "offset 17 (decompressed): the file ends here; the header declares 6 bytes of data, there are 5");
    write_file("head.idx", file, 9);
    refused("head.idx", "offset 9: the file ends here, 3 bytes more were expected");
    write_file("empty.idx", file, 0);
    refused("empty.idx", "offset 0");
    file[2] = 7;
    write_file("type.idx", file, 18);
    refused("type.idx", "00 00 07 02 is no IDX magic number");
    file[2] = 8, file[3] = 9;
    write_file("rank.idx", file, 18);
    refused("rank.idx", "offset 3: rank 9");
    refused("nowhere.idx", "No such file");
    refused("/tmp", "not a regular file");
}

/* Declared terabytes in a few bytes: refused, and never allocated. */
static void believes_no_sizes(void **state) {
    (void)state;
    unsigned char file[64] = {0, 0, 8, 3, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0xff, 0, 0};
    memset(file + 4, 0x7f, 12);
    memcpy(file + 12, "\0\0\0\1", 4);
    struct rlimit before, limit = {512u << 20, 512u << 20};
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    getrlimit(RLIMIT_AS, &before);
    limit.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
#else
    (void)before, (void)limit;
#endif
    write_file("lie.idx", file, 40);
    refused("lie.idx", "the header declares");
    write_gz("lie.gz", file, 40);
    refused("lie.gz", "the file ends here; the header declares");
    memset(file + 4, 0xff, 12);
    write_file("over.idx", file, 40);
    refused("over.idx", "product overflows");
    static const char header[] =
        "\x93NUMPY\1\0v\0{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }";
    char npy[200];
    memset(npy, ' ', sizeof npy);
    memcpy(npy, header, sizeof header - 1);
    write_file("lie.npy", npy, 128);
    refused("lie.npy", "offset 128: the header declares 8796093022208 bytes of data, the file has 0");
    write_gz("lie.npy.gz", npy, 128);
    refused("lie.npy.gz", "the file ends here");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    setrlimit(RLIMIT_AS, &before);
#endif
}

static void refuses_bad_gzip(void **state) {
    (void)state;
    unsigned char file[6000] = {0, 0, 8, 1, 0, 0, 0x17, 0x68}, packed[8000]; /* 5992 */
    for (int i = 8; i < 6000; i++) file[i] = (unsigned char)(i * i >> 3 ^ i);
    write_gz("g.gz", file, sizeof file);
    Array a = good("g.gz");
    assert_int_equal(a.count, 5992);
    array_free(&a);
    size_t n = read_file("g.gz", (char *)packed, sizeof packed);
    write_file("cut.gz", packed, n - 9);
    refused("cut.gz", "unexpected end of file");
    packed[n - 6] ^= 1; /* the checksum */
    write_file("sum.gz", packed, n);
    refused("sum.gz", "cannot be read");
}

static void put_npy(const char *path, const char *descr, const char *order, const char *shape, const void *data,
                    size_t bytes) {
    char file[512];
    int n = snprintf(file + 10, 400, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr, order, shape);
    memcpy(file, "\x93NUMPY\1", 8);
    file[8] = (char)n, file[9] = 0;
    memcpy(file + 10 + n, data, bytes);
    write_file(path, file, 10 + (size_t)n + bytes);
}

static void reads_npy(void **state) {
    (void)state;
    const float f[] = {1, 2, 3, 4, 5, 6};
    const int16_t h[] = {-7, 300};
    const uint64_t u[] = {5, UINT64_MAX};
    const unsigned char big[] = {0, 0, 1, 2};
    put_npy("f.npy", "<f4", "False", "(2, 3)", f, 24);
    Array a = good("f.npy");
    assert_true(a.dtype == DLRT_F32 && a.rank == 2 && a.shape[1] == 3 && array_real(&a, 1) == 2);
    array_free(&a);
    put_npy("c.npy", "<f4", "True", "(2, 3)", f, 24);
    a = good("c.npy");
    assert_true(array_real(&a, 0) == 1 && array_real(&a, 1) == 3 && array_real(&a, 3) == 2);
    array_free(&a);
    put_npy("h.npy", "<i2", "False", "(2,)", h, 4);
    a = good("h.npy");
    assert_true(a.dtype == DLRT_I32 && array_real(&a, 0) == -7 && array_real(&a, 1) == 300);
    array_free(&a);
    put_npy("b.npy", ">i4", "False", "()", big, 4);
    a = good("b.npy");
    assert_true(a.rank == 0 && a.count == 1 && array_real(&a, 0) == 258);
    array_free(&a);
    put_npy("u.npy", "<u8", "False", "(1,)", u, 8);
    a = good("u.npy");
    assert_true(a.dtype == DLRT_I64 && array_real(&a, 0) == 5);
    array_free(&a);
    put_npy("u.npy", "<u8", "False", "(2,)", u, 16);
    refused("u.npy", "an integer above 2^63 - 1");
    put_npy("x.npy", "<c8", "False", "(2,)", u, 16);
    refused("x.npy", "the element type '<c8' is not supported");
    put_npy("x.npy", "<f4", "False", "(-2,)", u, 8);
    refused("x.npy", "a bad extent");
    put_npy("x.npy", "<f4", "False", "(1,1,1,1,1,1,1,1,1)", u, 4);
    refused("x.npy", "more than 8 dims");
    put_npy("x.npy", "<f4", "Maybe", "(1,)", u, 4);
    refused("x.npy", "fortran_order");
    put_npy("x.npy", "<f4", "False", "(3,)", u, 8);
    refused("x.npy", "declares 12 bytes of data, the file has 8");
    put_npy("x.npy", "<f4", "False", "(3037000500,3037000500)", u, 8);
    refused("x.npy", "the shape overflows");
    write_file("x.npy", "\x93NUMPY\1\0\xff\xff{", 11);
    refused("x.npy", "offset 8: the header is said to have 65535 bytes");
    write_file("x.npy", "\x93NUMPX\1\0\xff\xff{", 11);
    refused("x.npy", "offset 0: this is no NPY file");
}

static void writes_npy(void **state) {
    (void)state;
    int64_t v[] = {1, -2, 3, 4, 5, INT64_MIN};
    DlrtTensor t = tensor(DLRT_I64, v, SHAPE(3, 2));
    Error error;
    assert_true(write_npy("w.npy", &t, &error));
    Array a = good("w.npy");
    assert_true(a.rank == 2 && a.shape[0] == 3 && a.shape[1] == 2 && a.dtype == DLRT_I64);
    assert_memory_equal(a.data, v, sizeof v);
    array_free(&a);
    assert_false(write_npy("/nowhere/w.npy", &t, &error));
    char file[256];
    assert_int_equal(read_file("w.npy", file, sizeof file), 128 + 48); /* data aligned to 64 */
}

static void reads_csv(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int rank, rows, columns;
        double last;
    } files[] = {
        {"1,2\n3,4\n", 2, 2, 2, 4},      {"1,2\r\n3,4", 2, 2, 2, 4},        {"a,b\n1,2\n", 2, 1, 2, 2},
        {"1\n2\n-3e2\n", 1, 3, 1, -300}, {"# note\n\n1;2;3\n", 2, 1, 3, 3}, {"1 2  3\n4 5 6 \n", 2, 2, 3, 6},
        {"1\t2\n3\t4\n", 2, 2, 2, 4},    {"\"1\", \"2\"\n", 2, 1, 2, 2},   {"\xef\xbb\xbf" "1,2\n3,4\n", 2, 2, 2, 4},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        write_file("a.csv", files[i].text, strlen(files[i].text));
        Array a = good("a.csv");
        assert_int_equal(a.rank, files[i].rank);
        assert_int_equal(a.shape[0], files[i].rows);
        assert_int_equal(a.count, files[i].rows * files[i].columns);
        assert_true(array_real(&a, a.count - 1) == files[i].last);
        array_free(&a);
    }
    write_file("x.csv", "1,2\n3,x\n", 8);
    refused("x.csv", "offset 6: line 2: 'x' is no number");
    write_file("x.csv", "1,2\n3,\n", 7);
    refused("x.csv", "line 2");
    write_file("x.csv", "1,2\n3,4,5\n", 10);
    refused("x.csv", "line 2 has 3 numbers, the lines before have 2");
    write_file("x.csv", "1,2\0\n", 5);
    refused("x.csv", "offset 3: a zero byte");
    write_file("x.csv", "\n\n", 2);
    refused("x.csv", "no numbers");
    write_file("x.csv", "1,2 3\n", 6);
    write_file("x.csv", "", 0);
    refused("x.csv", "no numbers");
}

static void converts_numbers(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = half_to_float((uint16_t)h);
        if (!isnan(f))
            assert_int_equal(float_to_half(f), h);
        else
            assert_true(isnan(half_to_float(float_to_half(f))));
    }
    assert_int_equal(float_to_half(65519.0f), 0x7bff);
    assert_int_equal(float_to_half(65520.0f), 0x7c00);
    assert_int_equal(float_to_half(1 + 1.0f / 2048), 0x3c00); /* a tie goes to the even one */
    int8_t b[1];
    assert_true(store_integer(DLRT_I8, b, 0, -128));
    assert_false(store_integer(DLRT_I8, b, 0, 128));
    assert_false(store_real(DLRT_I32, &(int32_t){0}, 0, NAN));
    assert_false(store_real(DLRT_I32, &(int32_t){0}, 0, 1e10));
    assert_false(store_integer(DLRT_BOOL, b, 0, 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_idx),         cmocka_unit_test(refuses_idx),
                                       cmocka_unit_test(believes_no_sizes), cmocka_unit_test(refuses_bad_gzip),
                                       cmocka_unit_test(reads_npy),         cmocka_unit_test(writes_npy),
                                       cmocka_unit_test(reads_csv),         cmocka_unit_test(converts_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
