/* Philox4x32-10, the counter-based random generator behind random_bits (J. Salmon et al., "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011): four random words as a pure function of key and counter. */
#ifndef DLCC_OPS_PHILOX_H
#define DLCC_OPS_PHILOX_H

#include <stdint.h>

void philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

#endif
