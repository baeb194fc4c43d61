/* SPDX-License-Identifier: MIT */
/*
 * model_driver.h - stores "model://..." on a medium of model_medium.h: reads that take as long as
 * they would there, and bring no bytes. It is given to a context as the world's extra driver.
 *
 * A key is a number n: the object lies at n x object_bytes on the medium. Every number is there.
 * The profile is "cloud", and as for any store options override its fields; what the medium is like
 * comes from model_driver_use() alone. Its requests are measured as those of servers are.
 */
#ifndef LSIO_TESTS_MODEL_DRIVER_H
#define LSIO_TESTS_MODEL_DRIVER_H

#include "driver/driver.h"
#include "model_medium.h"

extern const struct driver_ops driver_model;

/* What stores that are opened from now on are like. `config` is copied. */
void model_driver_use(const struct model_config *config, uint64_t object_bytes);

struct model_counts {
    uint64_t requests, bytes;
    uint64_t flight_bytes_max; /* most bytes asked for and not yet handed back, at one time */
    uint32_t flight_max;       /* most reads of that kind */
    uint32_t busy_max;         /* most connections in use */
};
void model_store_counts(struct lsio_store *store, struct model_counts *out);

#endif
