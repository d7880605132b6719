/* Hints for who writes what other frameworks and languages call things: see elsewhere.def. */
#ifndef DLCC_DSL_ELSEWHERE_H
#define DLCC_DSL_ELSEWHERE_H

#include <stdbool.h>
#include <stdint.h>

/* What to say here instead of that name; null if it is not known elsewhere. */
const char *elsewhere_name(const char *name);
/* The parameter that an argument of that name means in other libraries, or null. */
const char *elsewhere_argument(const char *name);
/* What is meant where the token at text[begin .. end) is not expected, or null. */
const char *elsewhere_token(const char *text, uint32_t begin, uint32_t end);

#endif
