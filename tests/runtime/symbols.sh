#!/bin/sh
# symbols.sh LIBDLRT [MODEL.so] - what the runtime asks of the system: only the libc calls listed here, nothing that
# prints, exits or aborts, no mutable globals; and a model's .so needs libc and libm alone and shows one name.
set -eu
allowed='__errno_location __xpg_strerror_r strerror_r aligned_alloc clock_gettime close dlerror dlopen dlsym free fstat fsync
getauxval getpid memchr memcmp bcmp memcpy memmove memset open pthread_cond_broadcast pthread_cond_destroy pthread_cond_init
pthread_cond_wait pthread_create pthread_join pthread_mutex_destroy pthread_mutex_init pthread_mutex_lock
pthread_mutex_unlock pthread_sigmask read rename sigfillset strchr strcmp strlen strncmp strrchr syscall unlink write
_GLOBAL_OFFSET_TABLE_ expf logf fmaxf'
bad=0
for name in $(nm -u "$1" 2>/dev/null | sed -n 's/^ *U \([^@]*\).*/\1/p' | sort -u); do
    case " $(echo $allowed) " in *" $name "*) continue ;; esac
    case $name in dlrt_*) continue ;; esac
    echo "$1 needs $name, which is not on the list" >&2
    bad=1
done
# Constant tables with pointers lie in .data.rel.ro, which the loader makes read-only.
if objdump -t "$1" 2>/dev/null | grep -E ' O (\.data|\.bss|\*COM\*|\.tdata|\.tbss)' | grep -v '\.data\.rel\.ro'; then
    echo "$1 has mutable globals" >&2
    bad=1
fi
if [ $# -gt 1 ]; then
    needed=$(objdump -p "$2" | sed -n 's/.*NEEDED *//p' | grep -vE '^(libc|libm)\.so' || true)
    [ -z "$needed" ] || { echo "$2 needs $needed" >&2; bad=1; }
    shown=$(nm -D --defined-only "$2" | awk '{print $3}' | grep -v '^dlrt_module$' || true)
    [ -z "$shown" ] || { echo "$2 shows $shown" >&2; bad=1; }
    printed=$(nm -D -u "$2" | grep -E 'printf|puts|abort|exit|assert|stderr|stdout' || true)
    [ -z "$printed" ] || { echo "$2 asks for $printed" >&2; bad=1; }
fi
exit $bad
