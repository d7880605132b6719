/* The numbers of a schedule by name: see kernel_schedule.h. */
#include "ir/kernel_schedule.h"

#define FIELD(name, kind, tuned) {#name, offsetof(KSchedule, name), kind, tuned}
static const ScheduleField fields[] = {
    FIELD(lanes, FIELD_INT, false),
    FIELD(unroll, FIELD_INT, false),
    FIELD(whole, FIELD_FLAG, false),
    FIELD(tile, FIELD_INT, false),
    FIELD(chunk, FIELD_WIDE, false),
    FIELD(mr, FIELD_INT, true),
    FIELD(nv, FIELD_INT, true),
    FIELD(mc, FIELD_WIDE, true),
    FIELD(nc, FIELD_WIDE, true),
    FIELD(kc, FIELD_WIDE, true),
    FIELD(pack_a, FIELD_FLAG, true),
    FIELD(pack_b, FIELD_FLAG, true),
    FIELD(skip_a, FIELD_FLAG, true),
    FIELD(skip_b, FIELD_FLAG, true),
    FIELD(rows_a, FIELD_FLAG, true),
    FIELD(m_axes, FIELD_INT, true),
    FIELD(n_axes, FIELD_INT, true),
    FIELD(skinny_nv, FIELD_INT, true),
    FIELD(skinny_nc, FIELD_WIDE, true),
    FIELD(skinny_turn, FIELD_FLAG, true),
    FIELD(scratch, FIELD_WIDE, false),
    FIELD(serial_below, FIELD_WIDE, false),
};
#undef FIELD
enum { FIELD_COUNT = (int)(sizeof fields / sizeof *fields) };

const ScheduleField *schedule_fields(int *count) {
    *count = FIELD_COUNT;
    return fields;
}

const ScheduleField *schedule_field(const char *name) {
    for (int i = 0; i < FIELD_COUNT; i++)
        if (!strcmp(fields[i].name, name)) return &fields[i];
    return NULL;
}

int64_t schedule_get(const KSchedule *s, const ScheduleField *f) {
    const char *at = (const char *)s + f->offset;
    int64_t wide;
    int number;
    bool flag;
    switch (f->kind) {
    case FIELD_WIDE: return memcpy(&wide, at, sizeof wide), wide;
    case FIELD_INT: return memcpy(&number, at, sizeof number), number;
    case FIELD_FLAG: return memcpy(&flag, at, sizeof flag), flag;
    }
    return 0;
}

bool schedule_set(KSchedule *s, const ScheduleField *f, int64_t value) {
    char *at = (char *)s + f->offset;
    if (f->kind == FIELD_FLAG) {
        memcpy(at, &(bool){value != 0}, sizeof(bool));
        return true;
    }
    if (value < 0 || (f->kind == FIELD_INT && value > INT32_MAX)) return false;
    if (f->kind == FIELD_WIDE) memcpy(at, &value, sizeof value);
    else memcpy(at, &(int){(int)value}, sizeof(int));
    return true;
}

void schedule_print(const KSchedule *s, bool tuned, Text *to) {
    for (int i = 0; i < FIELD_COUNT; i++) {
        int64_t x = schedule_get(s, &fields[i]);
        if (x && (fields[i].tuned || !tuned)) text_add(to, " %s=%lld", fields[i].name, (long long)x);
    }
}
