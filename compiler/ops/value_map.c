/* Maps of values, and copies of ops by them: see value_map.h. */
#include "ops/value_map.h"

static size_t slot_of(const ValueMap *map, const Value *v) {
    size_t i = (size_t)(((uintptr_t)v >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (map->room - 1);
    while (map->keys[i] && map->keys[i] != v) i = (i + 1) & (map->room - 1);
    return i;
}

Value *value_map_get(const ValueMap *map, const Value *v) {
    return map->room ? map->values[slot_of(map, v)] : NULL;
}

void value_map_set(ValueMap *map, const Value *v, Value *to) {
    if (2 * (map->count + 1) > map->room) {
        ValueMap old = *map;
        map->room = old.room ? 2 * old.room : 64;
        map->keys = arena_array(map->arena, const Value *, map->room);
        map->values = arena_array(map->arena, Value *, map->room);
        for (size_t i = 0; i < old.room; i++) {
            if (!old.keys[i]) continue;
            size_t at = slot_of(map, old.keys[i]);
            map->keys[at] = old.keys[i];
            map->values[at] = old.values[i];
        }
    }
    size_t at = slot_of(map, v);
    map->count += !map->keys[at];
    map->keys[at] = v;
    map->values[at] = to;
}

Value *value_mapped(const ValueMap *map, Value *v) {
    Value *to = value_map_get(map, v);
    return to ? to : v;
}

static void copy_region(Module *m, Region *to, const Region *from, ValueMap *map) {
    for (int i = 0; i < from->params.n; i++) {
        const Value *p = from->params.at[i];
        value_map_set(map, p, region_add_param(m, to, p->type, p->name));
    }
    region_copy_ops(m, to, from, map);
    for (int i = 0; i < from->yields.n; i++) vec_push(m->arena, &to->yields, value_mapped(map, from->yields.at[i]));
}

Op *op_copy(Module *m, Region *to, const Op *op, ValueMap *map) {
    Op *copy = op_append(m, to, op->info, op->operands, op->operand_count, op->result_count, op->attrs, op->attr_count,
                         op->region_count, op->span);
    op_reserve_results(m, copy, op->result_room);
    for (int i = 0; i < op->operand_count; i++) copy->operands[i] = value_mapped(map, op->operands[i]);
    for (int i = 0; i < op->region_count; i++) copy_region(m, copy->regions[i], op->regions[i], map);
    for (int i = 0; i < op->result_count; i++) {
        copy->results[i].type = op->results[i].type;
        copy->results[i].name = op->results[i].name;
        value_map_set(map, &op->results[i], &copy->results[i]);
    }
    return copy;
}

void region_copy_ops(Module *m, Region *to, const Region *from, ValueMap *map) {
    for (int i = 0; i < from->ops.n; i++) op_copy(m, to, from->ops.at[i], map);
}

void region_replace_uses(Region *r, const Value *from, Value *to) {
    for (int i = 0; i < r->ops.n; i++)
        for (int k = 0; k < r->ops.at[i]->operand_count; k++)
            if (r->ops.at[i]->operands[k] == from) r->ops.at[i]->operands[k] = to;
    for (int i = 0; i < r->yields.n; i++)
        if (r->yields.at[i] == from) r->yields.at[i] = to;
}

void region_map_uses(Region *r, const ValueMap *map) {
    for (int i = 0; i < r->ops.n; i++) {
        Op *op = r->ops.at[i];
        for (int k = 0; k < op->operand_count; k++) op->operands[k] = value_mapped(map, op->operands[k]);
    }
    for (int i = 0; i < r->yields.n; i++) r->yields.at[i] = value_mapped(map, r->yields.at[i]);
}
