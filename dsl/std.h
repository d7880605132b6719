/* The standard library's sources, embedded (made by embed.cmake from the folder std). */
#ifndef DLCC_DSL_STD_H
#define DLCC_DSL_STD_H

#include <stddef.h>

typedef struct StdFile {
    const char *path;          /* "std/nn.dl" */
    const char *text;
    size_t length;
} StdFile;

extern const StdFile std_files[];
extern const int std_file_count;

#endif
