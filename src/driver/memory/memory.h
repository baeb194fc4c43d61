/* SPDX-License-Identifier: MIT */
/*
 * memory.h - memory://name: objects in the context's own memory.
 *
 * Stores of one name in one context see the same objects; contexts share nothing. Objects stay
 * until they are removed or the context ends, also while no store of that name is open.
 */
#ifndef LSIO_DRIVER_MEMORY_H
#define LSIO_DRIVER_MEMORY_H

#include "driver/driver.h"

extern const struct driver_ops driver_memory;

#endif
