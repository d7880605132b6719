/* openblas FUNCTION m=M,n=N,k=K - times OpenBLAS's C = A B of row-major A[M, K] and B[K, N]: sgemm, or for one row
 * sgemv where that is faster. */
#include "../contestant.h"
#include <dlfcn.h>

enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };

typedef void Sgemm(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
typedef void Sgemv(int, int, int, int, float, const float *, int, const float *, int, float, float *, int);

typedef struct Job {
    Sgemm *sgemm;
    Sgemv *sgemv;
    int m, n, k;
    float *a, *b, *c;
} Job;

static void job_sgemm(void *user) {
    Job *j = user;
    j->sgemm(ROW_MAJOR, PLAIN, PLAIN, j->m, j->n, j->k, 1, j->a, j->k, j->b, j->n, 0, j->c, j->n);
}

static void job_sgemv(void *user) {
    Job *j = user;
    j->sgemv(ROW_MAJOR, TRANSPOSED, j->k, j->n, 1, j->b, j->n, j->a, 1, 0, j->c, 1);
}

static int job_prepare(Job *j, const char *given) {
    static const char *const places[] = {"/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0",
                                         "/usr/lib/aarch64-linux-gnu/openblas-pthread/libopenblas.so.0",
                                         "libopenblas.so.0"};
    void *library = NULL;
    for (int i = 0; !library && i < 3; i++) library = dlopen(places[i], RTLD_NOW);
    if (!library) return 0;
    *(void **)&j->sgemm = dlsym(library, "cblas_sgemm");
    *(void **)&j->sgemv = dlsym(library, "cblas_sgemv");
    j->m = (int)contestant_number(given, "m", 512);
    j->n = (int)contestant_number(given, "n", j->m);
    j->k = (int)contestant_number(given, "k", j->m);
    j->a = contestant_floats((size_t)j->m * (size_t)j->k);
    j->b = contestant_floats((size_t)j->k * (size_t)j->n);
    j->c = contestant_floats((size_t)j->m * (size_t)j->n);
    return j->sgemm && j->sgemv && j->a && j->b && j->c;
}

int main(int argc, char **argv) {
    Job job = {0};
    if (!job_prepare(&job, argc > 2 ? argv[2] : NULL)) {
        return contestant_absent("OpenBLAS is not there: apt-get install libopenblas0-pthread");
    }
    ContestantCall *best = job_sgemm;
    if (job.m == 1) {
        double by_gemm = contestant_best(job_sgemm, &job);
        if (contestant_best(job_sgemv, &job) < by_gemm) best = job_sgemv;
    }
    return contestant_serve("OpenBLAS", best, &job, 1);
}
