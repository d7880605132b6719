/* openblas N - times OpenBLAS's sgemm on N x N matrices, row-major C = A B. */
#include "../contestant.h"
#include <dlfcn.h>

typedef void Sgemm(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);

typedef struct Job {
    Sgemm *sgemm;
    int n;
    float *a, *b, *c;
} Job;

static void job_call(void *user) {
    Job *j = user;
    enum { ROW_MAJOR = 101, PLAIN = 111 };
    j->sgemm(ROW_MAJOR, PLAIN, PLAIN, j->n, j->n, j->n, 1, j->a, j->n, j->b, j->n, 0, j->c, j->n);
}

int main(int argc, char **argv) {
    static const char *const places[] = {"/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0",
                                         "/usr/lib/aarch64-linux-gnu/openblas-pthread/libopenblas.so.0",
                                         "libopenblas.so.0"};
    void *library = NULL;
    Job job = {.n = argc > 1 ? atoi(argv[1]) : 512};
    for (int i = 0; !library && i < 3; i++) library = dlopen(places[i], RTLD_NOW);
    if (!library) return contestant_absent("OpenBLAS is not there: apt-get install libopenblas0-pthread");
    *(void **)&job.sgemm = dlsym(library, "cblas_sgemm");
    size_t count = (size_t)job.n * (size_t)job.n;
    job.a = contestant_floats(count);
    job.b = contestant_floats(count);
    job.c = contestant_floats(count);
    if (!job.sgemm || !job.a || !job.b || !job.c) return contestant_absent("no cblas_sgemm, or no memory");
    return contestant_serve("OpenBLAS", job_call, &job);
}
