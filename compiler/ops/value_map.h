/* ValueMap: from graph values to graph values, by identity; for functions under construction, whose values have no
 * numbers. In an arena; insertion only. */
#ifndef DLCC_OPS_VALUE_MAP_H
#define DLCC_OPS_VALUE_MAP_H

#include "ir/graph.h"

typedef struct ValueMap {
    Arena *arena;
    const Value **keys;        /* open addressing; null: free */
    Value **values;
    size_t count, room;        /* room: a power of two, or 0 */
} ValueMap;

static inline ValueMap value_map_new(Arena *arena) { return (ValueMap){.arena = arena}; }
/* What v was last set to, or null. */
Value *value_map_get(const ValueMap *map, const Value *v);
void value_map_set(ValueMap *map, const Value *v, Value *to);

/* Appends copies of a region's ops to `to`, nested regions included. Operands that the map knows become what it says,
 * others stay; the results are added to the map. */
void region_copy_ops(Module *m, Region *to, const Region *from, ValueMap *map);
/* The same for one op. Returns the copy. */
Op *op_copy(Module *m, Region *to, const Op *op, ValueMap *map);
/* Makes every use of `from` in the region's own ops and yields a use of `to`. Operators' regions are isolated, so this
 * is every use there is. */
void region_replace_uses(Region *r, const Value *from, Value *to);
/* The same for all that the map knows. */
void region_map_uses(Region *r, const ValueMap *map);
/* What the map says of v, or v. */
Value *value_mapped(const ValueMap *map, Value *v);

#endif
