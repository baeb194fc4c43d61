/* SPDX-License-Identifier: MIT */
/*
 * Design: registers the user's long-lived memory with every worker's loop. Only a ring's own thread
 * may do that, so it is a message to each worker; the caller waits for all of them, for after
 * _unregister the memory may be unmapped at once. The context's table says which slot a range has.
 */
#include <stdlib.h>

#include "engine/engine.h"

struct registration {
    struct lsio_context *context;
    uint32_t slot;
    void *addr; /* NULL: take it out */
    uint64_t bytes;
    uint32_t pending;      /* under the lock */
    pthread_cond_t cond;
};

struct registration_message {
    struct queue_node node;
    struct registration *registration;
};

static void registration_run(struct driver_env *env, struct queue_node *node)
{
    struct registration *registration =
        container_of(node, struct registration_message, node)->registration;
    struct worker *worker = container_of(env, struct worker, env);
    struct user_buffer *buffer = &worker->user_buffers[registration->slot];

    if (registration->addr) {
        if (env->loop_ops->buffer_attach(env->loop, registration->slot, registration->addr,
                                         registration->bytes) == 0)
            *buffer = (struct user_buffer){registration->addr, registration->bytes};
    } else if (buffer->addr) {
        env->loop_ops->buffer_detach(env->loop, registration->slot);
        *buffer = (struct user_buffer){NULL, 0};
    }
    worker->user_buffer_count = 0;
    for (uint32_t i = 1; i < ENGINE_BUFFERS_MAX; i++)
        if (worker->user_buffers[i].addr)
            worker->user_buffer_count = i + 1;
    pthread_mutex_lock(&registration->context->lock);
    if (--registration->pending == 0)
        pthread_cond_signal(&registration->cond);
    pthread_mutex_unlock(&registration->context->lock);
}

static int registration_apply(struct lsio_context *context, uint32_t slot, void *addr,
                              uint64_t bytes)
{
    struct registration registration = {.context = context,
                                        .slot = slot,
                                        .addr = addr,
                                        .bytes = bytes,
                                        .pending = context->worker_count};
    struct registration_message *messages = calloc(context->worker_count, sizeof(*messages));

    if (!messages)
        return -ENOMEM;
    pthread_cond_init(&registration.cond, NULL);
    for (uint32_t i = 0; i < context->worker_count; i++) {
        messages[i].node.run = registration_run;
        messages[i].registration = &registration;
        context->workers[i].env.post(&context->workers[i].env, &messages[i].node);
    }
    pthread_mutex_lock(&context->lock);
    while (registration.pending)
        pthread_cond_wait(&registration.cond, &context->lock);
    pthread_mutex_unlock(&context->lock);
    pthread_cond_destroy(&registration.cond);
    free(messages);
    return 0;
}

/* Finds `addr`'s slot, or a free one for NULL, and marks it; 0: none. */
static uint32_t slot_find(struct lsio_context *context, const void *addr, void *mark,
                          uint64_t bytes)
{
    uint32_t found = 0;

    pthread_mutex_lock(&context->lock);
    for (uint32_t i = 1; i < ENGINE_BUFFERS_MAX && !found; i++)
        if (context->user_buffers[i].addr == addr)
            found = i;
    if (found && mark)
        context->user_buffers[found] = (struct user_buffer){mark, bytes};
    pthread_mutex_unlock(&context->lock);
    return found;
}

static void slot_clear(struct lsio_context *context, uint32_t slot)
{
    pthread_mutex_lock(&context->lock);
    context->user_buffers[slot] = (struct user_buffer){NULL, 0};
    pthread_mutex_unlock(&context->lock);
}

int context_memory_register(struct lsio_context *context, void *addr, uint64_t bytes)
{
    uint32_t slot = slot_find(context, NULL, addr, bytes);

    int error = slot ? registration_apply(context, slot, addr, bytes) : LSIO_E_LIMIT;

    if (slot && error)
        slot_clear(context, slot);
    return error;
}

int context_memory_unregister(struct lsio_context *context, void *addr)
{
    uint32_t slot = slot_find(context, addr, NULL, 0);
    int error;

    if (!slot)
        return -ENOENT;
    error = registration_apply(context, slot, NULL, 0);
    if (error)
        return error;
    slot_clear(context, slot);
    return 0;
}
