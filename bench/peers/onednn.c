/* onednn FUNCTION NAME=VALUE,... - times oneDNN 2's primitive for a function of models/conv.dl or models/rows.dl with
 * these hyper-parameters. Layouts are the library's choice, and what brings data there and back is not timed. Of a
 * convolution's algorithms (direct, Winograd) the faster counts. */
#include "../contestant.h"
#include <oneapi/dnnl/dnnl.h>

enum { ARGS_MAX = 5 };

typedef struct Job {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[ARGS_MAX];
    int arg_count;
} Job;

static void job_call(void *user) {
    Job *j = user;
    dnnl_primitive_execute(j->primitive, j->stream, j->arg_count, j->args);
    dnnl_stream_wait(j->stream);
}

/* What the library makes of an operation, or null if it does not have it. */
static dnnl_primitive_desc_t chosen(Job *j, const void *operation, dnnl_primitive_desc_t hint) {
    dnnl_primitive_desc_t found = NULL;
    return dnnl_primitive_desc_create(&found, operation, NULL, j->engine, hint) ? NULL : found;
}

/* Adds the memory that the primitive wants for one of its arguments. */
static void job_add(Job *j, dnnl_primitive_desc_t primitive, dnnl_query_t what, int argument) {
    const dnnl_memory_desc_t *layout = dnnl_primitive_desc_query_md(primitive, what, 0);
    dnnl_exec_arg_t *arg = &j->args[j->arg_count++];
    float *data = layout ? contestant_floats(dnnl_memory_desc_get_size(layout) / sizeof(float)) : NULL;
    arg->arg = argument;
    dnnl_memory_create(&arg->memory, layout, j->engine, data);
}

typedef struct Conv {
    dnnl_memory_desc_t src, weights, dst;
    dnnl_dims_t strides, padding;
} Conv;

static Conv conv_of(const char *given) {
    long n = contestant_number(given, "n", 1), c = contestant_number(given, "c", 64);
    long size = contestant_number(given, "size", 56), o = contestant_number(given, "o", 64);
    long kernel = contestant_number(given, "kernel", 3), stride = contestant_number(given, "stride", 1);
    long padding = contestant_number(given, "padding", 1), groups = contestant_number(given, "groups", 1);
    long out = (size + 2 * padding - kernel) / stride + 1;
    dnnl_dims_t src = {n, c, size, size}, dst = {n, o, out, out};
    dnnl_dims_t dense = {o, c, kernel, kernel}, grouped = {groups, o / groups, c / groups, kernel, kernel};
    Conv conv = {.strides = {stride, stride}, .padding = {padding, padding}};
    dnnl_memory_desc_init_by_tag(&conv.src, 4, src, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&conv.dst, 4, dst, dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&conv.weights, groups > 1 ? 5 : 4, groups > 1 ? grouped : dense, dnnl_f32,
                                 dnnl_format_tag_any);
    return conv;
}

static dnnl_primitive_desc_t conv_forward(Job *j, const Conv *c, dnnl_prop_kind_t kind, dnnl_alg_kind_t algorithm) {
    dnnl_convolution_desc_t d;
    dnnl_convolution_forward_desc_init(&d, kind, algorithm, &c->src, &c->weights, NULL, &c->dst, c->strides,
                                       c->padding, c->padding);
    return chosen(j, &d, NULL);
}

/* The convolution or one of its gradients. Returns null if the library does not have it so. */
static dnnl_primitive_desc_t conv_job(Job *j, const char *function, const Conv *c, dnnl_alg_kind_t algorithm) {
    dnnl_convolution_desc_t d;
    int forward = !strcmp(function, "forward"), input = !strcmp(function, "input_gradient");
    dnnl_prop_kind_t kind = forward ? dnnl_forward_inference : dnnl_forward_training;
    dnnl_primitive_desc_t first = conv_forward(j, c, kind, algorithm), p = first;
    if (!first) return NULL;
    if (input) {
        dnnl_convolution_backward_data_desc_init(&d, algorithm, &c->src, &c->weights, &c->dst, c->strides, c->padding,
                                                 c->padding);
    } else if (!forward) {
        dnnl_convolution_backward_weights_desc_init(&d, algorithm, &c->src, &c->weights, NULL, &c->dst, c->strides,
                                                    c->padding, c->padding);
    }
    if (!forward) p = chosen(j, &d, first);
    if (!p) return NULL;
    job_add(j, p, input ? dnnl_query_diff_src_md : dnnl_query_src_md, input ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC);
    if (forward || input) job_add(j, p, dnnl_query_weights_md, DNNL_ARG_WEIGHTS);
    else job_add(j, p, dnnl_query_diff_weights_md, DNNL_ARG_DIFF_WEIGHTS);
    job_add(j, p, forward ? dnnl_query_dst_md : dnnl_query_diff_dst_md, forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST);
    return p;
}

/* A function of rows[rows, n]. */
static dnnl_primitive_desc_t rows_job(Job *j, const char *function, const char *given) {
    dnnl_dims_t shape = {contestant_number(given, "rows", 1024), contestant_number(given, "n", 768)};
    dnnl_memory_desc_t rows;
    dnnl_primitive_desc_t p = NULL;
    int norm = !strcmp(function, "normalized");
    dnnl_memory_desc_init_by_tag(&rows, 2, shape, dnnl_f32, dnnl_ab);
    if (!strcmp(function, "probabilities")) {
        dnnl_softmax_desc_t d;
        dnnl_softmax_forward_desc_init(&d, dnnl_forward_inference, &rows, 1);
        p = chosen(j, &d, NULL);
    } else if (!strcmp(function, "exponentials")) {
        dnnl_eltwise_desc_t d;
        dnnl_eltwise_forward_desc_init(&d, dnnl_forward_inference, dnnl_eltwise_exp, &rows, 0, 0);
        p = chosen(j, &d, NULL);
    } else if (norm) {
        dnnl_layer_normalization_desc_t d;
        dnnl_layer_normalization_forward_desc_init(&d, dnnl_forward_inference, &rows, NULL, 1e-5f,
                                                   dnnl_use_scaleshift);
        p = chosen(j, &d, NULL);
    }
    if (!p) return NULL;
    job_add(j, p, dnnl_query_src_md, DNNL_ARG_SRC);
    job_add(j, p, dnnl_query_dst_md, DNNL_ARG_DST);
    if (norm) job_add(j, p, dnnl_query_weights_md, DNNL_ARG_SCALE_SHIFT);
    return p;
}

/* Makes *j run p if that is faster than what took *ns. */
static void keep_faster(Job *j, double *ns, Job *candidate, dnnl_primitive_desc_t p) {
    if (!p || dnnl_primitive_create(&candidate->primitive, p)) return;
    double took = contestant_best(job_call, candidate);
    if (*ns && took >= *ns) return;
    *ns = took;
    *j = *candidate;
}

int main(int argc, char **argv) {
    Job job = {0}, empty = {0};
    double ns = 0;
    if (argc < 3) return contestant_absent("usage: onednn FUNCTION NAME=VALUE,...");
    dnnl_engine_create(&empty.engine, dnnl_cpu, 0);
    dnnl_stream_create(&empty.stream, empty.engine, dnnl_stream_default_flags);
    Job direct = empty, winograd = empty, rows = empty;
    if (!strcmp(argv[1], "forward") || strstr(argv[1], "_gradient")) {
        Conv conv = conv_of(argv[2]);
        keep_faster(&job, &ns, &direct, conv_job(&direct, argv[1], &conv, dnnl_convolution_direct));
        keep_faster(&job, &ns, &winograd, conv_job(&winograd, argv[1], &conv, dnnl_convolution_winograd));
    } else {
        keep_faster(&job, &ns, &rows, rows_job(&rows, argv[1], argv[2]));
    }
    return ns ? contestant_serve("oneDNN", job_call, &job, 1) : contestant_absent("oneDNN has no such primitive");
}
