/* An author of random valid models: sources in the language, by a seed.
 *
 * A model is kept as pieces of text - arguments, members, statements, results, terms of the loss - that name each other
 * by v<number> (values), m<number> (members that learn), s<number> (other members) and t<number> (functions at the
 * top). So pieces can be left out, or values turned into arguments, and what nothing names falls away: that is how a
 * model that fails is made small (random_models.c).
 *
 * What holds throughout: every size, index and loop count is valid at all sizes of the run-time dims and for integer
 * arguments 0 .. 4; values stay tame (about -4 .. 4); operators that decide (sort, argmax, comparisons, floor) see only
 * arguments, which are distinct and well apart, and integers. Values that nothing has read yet are read first, and
 * those that remain are the results, so little of a model is dead. */
#ifndef DLCC_TESTS_AUTHOR_H
#define DLCC_TESTS_AUTHOR_H

#include "base/text.h"
#include "base/vec.h"
#include "ir/type.h"

#include <stdint.h>

enum { MOST_DIMS = 5, INT_LIMIT = 5, MOST_ELEMENTS = 6000, BOUND_B = 9, BOUND_T = 6, BOUND_G = 8 };

/* An extent as it is written; equal texts are equal extents. A constant has low == high. */
typedef struct Size {
    const char *text;
    int low, high;
    bool late; /* the call itself finds it */
} Size;

/* The value v<number>. */
typedef struct Known {
    int number;
    DType type;
    int rank;
    Size shape[MOST_DIMS];
    bool apart; /* its elements are distinct and well apart, and exact */
    bool argument;
    uint64_t on; /* what gradients flow to: bit i: m<i>; bit 48 + i: argument v<i> */
    int uses;
} Known;

typedef struct Piece {
    const char *text; /* whole lines */
    int first, count; /* the values that it defines */
    bool dropped;
    bool checks; /* kept though nothing names it: writes a variable, or requires something */
} Piece;

typedef struct Author {
    Arena *arena;
    uint64_t random;
    VEC(Known) values; /* by number */
    VEC(Piece) tops, members, code;
    VEC(int) learned; /* numbers of members that learn */
    int member_count, top_count;
    int flag, at, index, pairs; /* arguments: bool, i32, i32[B], i32[B, 3] */
    Size b, t, g;               /* the run-time dims: from 1, from 2, from 0 */
} Author;

/* A choice of 0 .. n-1; one in n. */
int below(Author *a, int n);
bool chance(Author *a, int n);
#define PICK(a, list) (list)[below((a), (int)(sizeof(list) / sizeof *(list)))]
const char *print(Author *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

Size size_of(Author *a, int n);
Size size_sum(Author *a, Size x, int plus); /* x + plus; x is at least -plus */
bool size_fixed(Size s);
bool size_equal(Size x, Size y);
bool same_shape(const Known *x, const Known *y);
const char *shape_text(Author *a, const Known *k);
/* Whether so many elements, at most, are few enough. */
bool is_small(const Known *k);
void drop_dim(Known *k, int axis);
void insert_dim(Known *k, int axis, Size s);

typedef bool Wanted(const Known *k);
/* A value that fits, rather one that nothing reads yet. False: there is none. */
bool choose(Author *a, Wanted *wanted, Known *k);
/* One of the same type and shape; x itself if there is no other. */
Known partner(Author *a, Known x);
Known value_at(Author *a, int number);
Wanted is_f32, is_float, is_f32_row, is_f32_matrix, is_f32_ranked, is_float_ranked, is_apart, is_apart_ranked, is_int,
    is_f32_fixed;

/* A statement that defines a value of the shape and type of `like`: "let v<n> = " and the text. It depends on what the
 * text names. The result is valid until the next one. */
Known *let(Author *a, Known like, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* One that defines two, or three. */
Known *let_several(Author *a, const Known *like, int count, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A statement that defines nothing. */
void say(Author *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A member, called m and a->member_count, or s and that where it learns nothing; returns the number. A function at the
 * top is called t and a->top_count. */
int learn(Author *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
int member(Author *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
int top(Author *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What statements there are: each adds some, or nothing if what it needs is not there. */
typedef void Maker(Author *a);
typedef struct Makers {
    Maker *const *all;
    int count;
} Makers;
Makers maths_makers(void), move_makers(void), index_makers(void), layer_makers(void), control_makers(void);
/* The numbers in a text that stand behind `letter` as names do. */
typedef void NameVisitor(void *user, char letter, int number);
void visit_names(const char *text, NameVisitor *visit, void *user);

/* ----------------------------------------------------------------------- whole models */

typedef struct Term {
    const char *text;
    bool dropped;
} Term;

typedef struct Story {
    Author *author;
    VEC(Term) results, losses;
    const char *update; /* of the training function, behind `let loss` */
    const char *extra;  /* another exported function, or "" */
    bool no_function, no_training, no_extra;
    bool lean;            /* what nothing names is left out */
    uint8_t *as_argument; /* by value: it is an argument instead of what its statement says */
} Story;

Story *story_new(Arena *arena, uint64_t seed);
const char *story_text(Story *s, Arena *arena);

#endif
