/* SPDX-License-Identifier: MIT */
/*
 * model_driver.c - see model_driver.h.
 *
 * A read is a request to the store's medium and a timer of its worker's loop, set to the earliest
 * time at which the medium may be through with it; when that was too early the timer is set again.
 * So completions come to a worker as those of the real world do, by its loop. All state of a store
 * is under its lock, which nobody holds across a call of the loop or the engine.
 */
#define _GNU_SOURCE /* strdup */

#include "model_driver.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/samples.h"
#include "driver/options.h"

#define STREAM_BYTES_MIN (UINT64_C(256) << 10)

struct model_store {
    struct lsio_store base;
    uint64_t object_bytes;
    pthread_mutex_t lock;
    /* under the lock */
    struct model_medium medium;
    uint32_t flight, flight_max;
    uint64_t flight_bytes, flight_bytes_max;
    struct samples first_bytes, streams; /* nanoseconds; bytes per second */
};

static struct model_config config_next;
static uint64_t object_bytes_next;

void model_driver_use(const struct model_config *config, uint64_t object_bytes)
{
    config_next = *config;
    object_bytes_next = object_bytes;
}

static struct model_store *model_of(struct lsio_store *store)
{
    return (struct model_store *)(void *)store;
}

void model_store_counts(struct lsio_store *store, struct model_counts *out)
{
    struct model_store *model = model_of(store);

    pthread_mutex_lock(&model->lock);
    *out = (struct model_counts){.requests = model->medium.requests,
                                 .bytes = model->medium.bytes,
                                 .flight_bytes_max = model->flight_bytes_max,
                                 .flight_max = model->flight_max,
                                 .busy_max = model->medium.busy_max};
    pthread_mutex_unlock(&model->lock);
}

/* ----------------------------------------------------------------------------------- store -- */

static void model_store_close(struct lsio_store *store, bool forked)
{
    (void)forked;
    if (!store)
        return;
    pthread_mutex_destroy(&model_of(store)->lock);
    free(store->url);
    free(store);
}

static int model_store_open(const struct driver_open *open, struct lsio_store **out)
{
    struct model_store *model = calloc(1, sizeof(*model));
    int status;

    if (!model)
        return -ENOMEM;
    pthread_mutex_init(&model->lock, NULL);
    model->base.driver = &driver_model;
    model->base.context = open->context;
    model->object_bytes = object_bytes_next;
    model_medium_init(&model->medium, &config_next, open->os->now_ns());
    model->base.url = strdup(open->url);
    status = model->base.url ? plan_profile_builtin("cloud", &model->base.profile) : -ENOMEM;
    if (status == 0)
        status = driver_options_apply(open, &model->base.profile, NULL, model);
    if (status < 0) {
        model_store_close(&model->base, false);
        return status;
    }
    *out = &model->base;
    return 0;
}

/* --------------------------------------------------------------------------------- objects -- */

static uint64_t object_place(const struct driver_object *object)
{
    return strtoull(object->key, NULL, 10) * model_of(object->store)->object_bytes;
}

/* The size that is known of it, or that it has. */
static uint64_t object_size(struct driver_object *object)
{
    uint64_t size = LSIO_SIZE_UNKNOWN, there = model_of(object->store)->object_bytes;

    return atomic_compare_exchange_strong(&object->plan.size, &size, there) ? there : size;
}

static void model_describe_object(struct driver_object *object)
{
    struct plan_extent *extent = malloc(sizeof(*extent));

    if (!extent)
        return; /* it is read in logical order then */
    *extent = (struct plan_extent){.physical = object_place(object),
                                   .bytes = model_of(object->store)->object_bytes};
    object->plan.extents = extent;
    object->plan.extent_count = 1;
}

static void model_finish_object(struct driver_object *object)
{
    assert(atomic_load(&object->store->users) > 0); /* until now nobody may close it */
    free((void *)(uintptr_t)object->plan.extents);
    object->plan.extents = NULL;
    object->plan.extent_count = 0;
}

static int model_object_info(struct driver_object *object, struct lsio_object_info *out)
{
    out->size = object_size(object);
    return 0;
}

/* ------------------------------------------------------------------------------- measuring -- */

/* A request is complete; under the lock. */
static void measure_add(struct model_store *model, const struct model_request *request,
                        uint64_t now_ns)
{
    samples_add(&model->first_bytes, request->first_ns - request->start_ns);
    if (request->bytes >= STREAM_BYTES_MIN)
        samples_add(&model->streams, (uint64_t)((double)request->bytes * 1e9 /
                                                (double)(now_ns - request->first_ns)));
}

static void model_measure(const struct lsio_store *store, struct plan_measured *out)
{
    struct model_store *model = model_of((struct lsio_store *)(uintptr_t)store);

    pthread_mutex_lock(&model->lock);
    *out = (struct plan_measured){
        .latency_ns = samples_quantile(&model->first_bytes, 50),
        .stream_bytes_per_second = samples_quantile(&model->streams, 50),
        .latency_count = samples_count(&model->first_bytes),
        .stream_count = samples_count(&model->streams),
        .throttled = model->medium.config.requests_per_second != 0,
    };
    pthread_mutex_unlock(&model->lock);
}

/* ----------------------------------------------------------------------------------- reads -- */

static void read_end(struct driver_read *read, int32_t status)
{
    struct model_store *model = model_of(read->object->store);

    free(read->wait);
    read->wait = NULL;
    read->status = status;
    read->bytes_done = status == 0 ? read->bytes : 0;
    pthread_mutex_lock(&model->lock);
    model->flight--;
    model->flight_bytes -= read->bytes;
    pthread_mutex_unlock(&model->lock);
    read->env->complete(read->env, read);
}

static void read_timer(struct driver_read *read, uint64_t at_ns)
{
    read->op.kind = LOOP_TIMER;
    read->op.offset = at_ns;
    read->env->loop_ops->submit(read->env->loop, &read->op);
}

static void read_go_on(struct loop_op *op)
{
    struct driver_read *read = container_of(op, struct driver_read, op);
    struct model_store *model = model_of(read->object->store);
    uint64_t now_ns = read->env->os->now_ns(), again_ns = 0;

    pthread_mutex_lock(&model->lock);
    if (op->result < 0)
        model_medium_drop(&model->medium, read->wait, now_ns);
    else
        again_ns = model_medium_look(&model->medium, read->wait, now_ns);
    if (op->result >= 0 && !again_ns)
        measure_add(model, read->wait, now_ns);
    pthread_mutex_unlock(&model->lock);
    if (again_ns)
        read_timer(read, again_ns);
    else
        read_end(read, op->result < 0 ? (int32_t)op->result : 0);
}

static void model_read(struct driver_env *env, struct driver_read *read)
{
    struct model_store *model = model_of(read->object->store);
    struct model_request *request = calloc(1, sizeof(*request));
    uint64_t now_ns = env->os->now_ns(), look_ns;

    read->env = env;
    read->code = 0;
    read->text = NULL;
    read->bytes_done = 0;
    read->wait = request;
    read->op = (struct loop_op){.done = read_go_on, .file = -1, .buffer = -1};
    if (!request || read->offset + read->bytes > object_size(read->object)) {
        free(request);
        read->status = request ? LSIO_E_TRUNCATED : -ENOMEM;
        env->complete(env, read);
        return;
    }
    request->place = object_place(read->object) + read->offset;
    request->bytes = read->bytes;
    pthread_mutex_lock(&model->lock);
    model->flight++;
    if (model->flight > model->flight_max)
        model->flight_max = model->flight;
    model->flight_bytes += read->bytes;
    if (model->flight_bytes > model->flight_bytes_max)
        model->flight_bytes_max = model->flight_bytes;
    model_medium_begin(&model->medium, request, now_ns);
    look_ns = model_medium_look(&model->medium, request, now_ns);
    pthread_mutex_unlock(&model->lock);
    read_timer(read, look_ns);
}

static void model_cancel(struct driver_env *env, struct driver_read *read)
{
    env->loop_ops->cancel(env->loop, &read->op);
}

static const char *const model_schemes[] = {"model", NULL};

const struct driver_ops driver_model = {
    .name = "model",
    .schemes = model_schemes,
    .store_open = model_store_open,
    .store_close = model_store_close,
    .read = model_read,
    .measure = model_measure,
    .cancel = model_cancel,
    .finish_object = model_finish_object,
    .object_info = model_object_info,
    .describe_object = model_describe_object,
};
