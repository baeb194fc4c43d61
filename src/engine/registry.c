/* SPDX-License-Identifier: MIT */
/* Design: the one place that names concrete loops and drivers. */
#include <string.h>

#include "driver/local/local.h"
#include "driver/memory/memory.h"
#ifdef LSIO_HAVE_HTTP
#include "driver/http/http.h"
#endif
#include "engine/engine.h"
#include "loop/epoll.h"
#ifdef LSIO_HAVE_URING
#include "loop/uring.h"
#endif

static const struct loop_ops *const registry_loops[] = {
#ifdef LSIO_HAVE_URING
    &loop_uring,
#endif
    &loop_epoll,
};

static const struct driver_ops *const registry_drivers[] = {
    &driver_local, /* first: takes bare paths */
    &driver_memory,
#ifdef LSIO_HAVE_HTTP
    &driver_http,
#endif
};

_Static_assert(sizeof(registry_drivers) / sizeof(registry_drivers[0]) < ENGINE_DRIVERS_MAX,
               "a context has no room for the state of this many drivers");

const struct loop_ops *registry_loop(const char *name)
{
    if (!name)
        return registry_loops[0];
    for (size_t i = 0; i < sizeof(registry_loops) / sizeof(registry_loops[0]); i++)
        if (strcmp(registry_loops[i]->name, name) == 0)
            return registry_loops[i];
    return NULL;
}

const struct loop_ops *registry_loop_fallback(void)
{
    return &loop_epoll;
}

uint32_t registry_driver_count(void)
{
    return sizeof(registry_drivers) / sizeof(registry_drivers[0]);
}

const struct driver_ops *registry_driver(uint32_t index)
{
    return registry_drivers[index];
}
