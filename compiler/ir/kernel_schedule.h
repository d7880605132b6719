/* The numbers of a schedule by name, as text has them: kernel IR, and what --tune writes. One table; who prints, reads
 * or compares schedules goes through it. */
#ifndef DLCC_IR_KERNEL_SCHEDULE_H
#define DLCC_IR_KERNEL_SCHEDULE_H

#include "ir/kernel.h"

typedef enum ScheduleFieldKind { FIELD_INT, FIELD_WIDE, FIELD_FLAG } ScheduleFieldKind;

typedef struct ScheduleField {
    const char *name;
    size_t offset;
    ScheduleFieldKind kind;
    bool tuned;                /* of a contraction, and may be chosen by measuring: no result depends on it */
} ScheduleField;

/* All of them, in the order in which they are printed; the vector axis, which is a name, is none of them. */
const ScheduleField *schedule_fields(int *count);
/* The field of that name, or null. */
const ScheduleField *schedule_field(const char *name);
int64_t schedule_get(const KSchedule *s, const ScheduleField *f);
/* False if the value is out of the field's range. */
bool schedule_set(KSchedule *s, const ScheduleField *f, int64_t value);
/* Appends " name=value" for each field that is not 0; of the tuned ones alone, or of all. */
void schedule_print(const KSchedule *s, bool tuned, Text *to);

#endif
