/* Formatting of sources (dlcc fmt). */
#ifndef DLCC_DSL_FORMAT_H
#define DLCC_DSL_FORMAT_H

#include "parse.h"

/* The source's text in its one form. `tree` is what it parses to; `ps` is a fresh Parser of the same source. */
Text format_source(Arena *arena, Parser *ps, const Node *tree);

#endif
