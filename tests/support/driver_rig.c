/* SPDX-License-Identifier: MIT */
/* driver_rig.c - see driver_rig.h. */
#define _GNU_SOURCE

#include "driver_rig.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/epoll.h"
#ifdef LSIO_HAVE_URING
#include "loop/uring.h"
#endif

#define TIMEOUT_NS 20000000000u
#define SLOTS      64

/* --------------------------------------------------------------------- the controlled loop -- */

struct loop {
    const struct loop_os *os;
    struct loop_op *first, *last; /* submitted */
    struct loop_op *ready, *ready_last;
    rig_fault_fn *fault;
    void *fault_data;
    unsigned done[8];
    int slots[SLOTS];
    unsigned slot_count;
};

static void list_append(struct loop_op **first, struct loop_op **last, struct loop_op *op)
{
    op->next = NULL;
    if (*first)
        (*last)->next = op;
    else
        *first = op;
    *last = op;
}

static int64_t run_read(struct loop *loop, struct loop_op *op, int fd, uint64_t limit)
{
    ssize_t got;

    if (op->kind == LOOP_READV) {
        struct iovec first = op->iov[0];
        if (limit < first.iov_len)
            first.iov_len = limit;
        got = limit == UINT64_MAX ? preadv(fd, op->iov, (int)op->iov_count, (off_t)op->offset)
                                  : preadv(fd, &first, 1, (off_t)op->offset);
    } else {
        got = pread(fd, op->addr, op->bytes < limit ? op->bytes : limit, (off_t)op->offset);
    }
    (void)loop;
    return got < 0 ? -errno : got;
}

static int64_t run_op(struct loop *loop, struct loop_op *op, uint64_t limit)
{
    int64_t result;
    int fd;

    op->step = LOOP_STEP_OPEN;
    switch (op->kind) {
    case LOOP_OPEN:
        return loop->os->open(op->fd, op->path, (int)op->open_flags, op->beneath);
    case LOOP_CLOSE:
        loop->os->close(op->fd);
        return 0;
    case LOOP_READ_FILE:
        fd = loop->os->open(op->fd, op->path, (int)op->open_flags, op->beneath);
        if (fd < 0)
            return fd;
        op->step = LOOP_STEP_READ;
        result = run_read(loop, op, fd, limit);
        loop->os->close(fd);
        return result;
    default:
        return run_read(loop, op, op->file >= 0 ? loop->slots[op->file] : op->fd, limit);
    }
}

static int controlled_create(const struct loop_config *config, struct loop **out, char *why,
                             size_t why_bytes)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    (void)why;
    (void)why_bytes;
    assert_non_null(loop);
    loop->os = config->os;
    for (int i = 0; i < SLOTS; i++)
        loop->slots[i] = -1;
    *out = loop;
    return 0;
}

static void controlled_destroy(struct loop *loop)
{
    assert_null(loop->first);
    for (int i = 0; i < SLOTS; i++)
        if (loop->slots[i] >= 0)
            close(loop->slots[i]);
    free(loop);
}

static void controlled_submit(struct loop *loop, struct loop_op *op)
{
    list_append(&loop->first, &loop->last, op);
}

/* Timers are the loop's own affair. */
static int64_t fault_ask(const struct loop *loop, const struct loop_op *op)
{
    if (op->kind == LOOP_TIMER)
        return loop->os->now_ns() < op->offset ? RIG_LATER : 0;
    return loop->fault ? loop->fault(op, loop->fault_data) : RIG_REAL;
}

static void controlled_flush(struct loop *loop)
{
    struct loop_op *op = loop->first;

    loop->first = loop->last = NULL;
    while (op) {
        struct loop_op *next = op->next;
        int64_t fault = fault_ask(loop, op);
        if (fault == RIG_LATER) {
            list_append(&loop->first, &loop->last, op);
        } else {
            if (fault == RIG_REAL)
                op->result = run_op(loop, op, UINT64_MAX);
            else if (fault < INT64_MIN / 2)
                op->result = run_op(loop, op, (uint64_t)(fault - INT64_MIN - 1000));
            else
                op->result = fault;
            loop->done[op->kind]++;
            list_append(&loop->ready, &loop->ready_last, op);
        }
        op = next;
    }
}

static struct loop_op *controlled_reap(struct loop *loop, unsigned max)
{
    struct loop_op *op = loop->ready;

    (void)max;
    loop->ready = loop->ready_last = NULL;
    return op;
}

static void controlled_wait(struct loop *loop, uint64_t until_ns)
{
    (void)until_ns;
    controlled_flush(loop);
}

static void controlled_wake(struct loop *loop)
{
    (void)loop;
}

static void controlled_cancel(struct loop *loop, struct loop_op *op)
{
    struct loop_op *at = loop->first;

    loop->first = loop->last = NULL;
    while (at) {
        struct loop_op *next = at->next;
        if (at == op) {
            at->result = -ECANCELED;
            at->step = LOOP_STEP_OPEN;
            list_append(&loop->ready, &loop->ready_last, at);
        } else {
            list_append(&loop->first, &loop->last, at);
        }
        at = next;
    }
}

static int controlled_attach(struct loop *loop, int fd)
{
    for (int i = 0; i < SLOTS; i++) {
        if (loop->slots[i] < 0) {
            loop->slots[i] = dup(fd);
            assert_true(loop->slots[i] >= 0);
            loop->slot_count++;
            return i;
        }
    }
    return -ENFILE;
}

static void controlled_detach(struct loop *loop, int slot)
{
    assert_true(slot >= 0 && slot < SLOTS && loop->slots[slot] >= 0);
    close(loop->slots[slot]);
    loop->slots[slot] = -1;
    loop->slot_count--;
}

static bool controlled_can_read_file(const struct loop *loop)
{
    (void)loop;
    return true;
}

static const struct loop_ops loop_controlled = {
    .name = "controlled",
    .create = controlled_create,
    .destroy = controlled_destroy,
    .submit = controlled_submit,
    .flush = controlled_flush,
    .reap = controlled_reap,
    .wait = controlled_wait,
    .wake = controlled_wake,
    .cancel = controlled_cancel,
    .file_attach = controlled_attach,
    .file_detach = controlled_detach,
    .can_read_file = controlled_can_read_file,
};

void rig_set_fault(struct rig *rig, rig_fault_fn *fault, void *data)
{
    assert_ptr_equal(rig->env.loop_ops, &loop_controlled);
    rig->env.loop->fault = fault;
    rig->env.loop->fault_data = data;
}

unsigned rig_ops_done(const struct rig *rig, int kind)
{
    assert_ptr_equal(rig->env.loop_ops, &loop_controlled);
    return rig->env.loop->done[kind];
}

unsigned rig_slots(const struct rig *rig)
{
    assert_ptr_equal(rig->env.loop_ops, &loop_controlled);
    return rig->env.loop->slot_count;
}

/* ------------------------------------------------------------------------------------- env -- */

static const struct loop_ops *loop_named(const char *name)
{
    if (strcmp(name, "controlled") == 0)
        return &loop_controlled;
#ifdef LSIO_HAVE_URING
    if (strcmp(name, "uring") == 0)
        return &loop_uring;
#endif
    assert_string_equal(name, "epoll");
    return &loop_epoll;
}

const char *const *rig_loops(void)
{
    static const char *const without[] = {"controlled", "epoll", NULL};
#ifdef LSIO_HAVE_URING
    static const char *const with[] = {"controlled", "epoll", "uring", NULL};
    struct loop_config config = {.inflight_max = 8, .os = &loop_os_linux};
    struct loop *loop;
    char why[128];

    if (loop_uring.create(&config, &loop, why, sizeof(why)) == 0) {
        loop_uring.destroy(loop);
        return with;
    }
#endif
    return without;
}

static void rig_complete(struct driver_env *env, struct driver_read *read)
{
    struct rig_read *mine = (struct rig_read *)read;

    assert_ptr_equal(&mine->rig->env, env);
    assert_int_equal(mine->completions, 0);
    mine->completions++;
    mine->rig->pending--;
    free(read->detail); /* as the engine does, in the end */
    read->detail = NULL;
}

static void rig_post(struct driver_env *env, struct queue_node *node)
{
    queue_push(&((struct rig *)env)->mailbox, node);
    env->loop_ops->wake(env->loop);
}

static struct driver_env *rig_peer(struct driver_env *env, uint32_t worker)
{
    struct rig *peer = ((struct rig *)env)->peers[worker];

    assert_non_null(peer);
    return &peer->env;
}

static void *rig_bounce_get(struct driver_env *env, uint64_t bytes)
{
    struct rig *rig = (struct rig *)env;
    void *memory;

    if (rig->refuse_bounce)
        return NULL;
    memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    assert_non_null(memory);
    rig->bounces++;
    return memory;
}

static void rig_bounce_put(struct driver_env *env, void *memory, uint64_t bytes)
{
    (void)bytes;
    free(memory);
    ((struct rig *)env)->bounces--;
}

static void rig_setup(struct rig *rig, uint32_t index, uint32_t count, const char *loop,
                      const struct loop_os *os, const struct driver_ops *driver)
{
    struct loop_config config = {.inflight_max = 64, .files_max = 16, .worker = index, .os = os};
    char why[128] = "";
    int status;

    memset(rig, 0, sizeof(*rig));
    rig->driver = driver;
    rig->env.worker = index;
    rig->env.worker_count = count;
    rig->env.loop_ops = loop_named(loop);
    rig->env.os = os;
    rig->env.cache_bytes = UINT64_C(1) << 40;
    rig->env.complete = rig_complete;
    rig->env.post = rig_post;
    rig->env.peer = rig_peer;
    rig->env.bounce_get = rig_bounce_get;
    rig->env.bounce_put = rig_bounce_put;
    if (rig->env.loop_ops->shared_create)
        assert_int_equal(rig->env.loop_ops->shared_create(os, &rig->loop_shared), 0);
    config.shared = rig->loop_shared;
    status = rig->env.loop_ops->create(&config, &rig->env.loop, why, sizeof(why));
    if (status != 0)
        fail_msg("loop %s: %d %s", loop, status, why);
}

void rig_init(struct rig *rig, const char *loop, const struct loop_os *os,
              const struct driver_ops *driver)
{
    rig_setup(rig, 0, 1, loop, os, driver);
    rig->peers[0] = rig;
}

void rig_init_many(struct rig *rigs, uint32_t count, const char *loop, const struct loop_os *os,
                   const struct driver_ops *driver)
{
    assert_true(count <= RIG_PEERS_MAX);
    for (uint32_t i = 0; i < count; i++)
        rig_setup(&rigs[i], i, count, loop, os, driver);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < count; k++)
            rigs[i].peers[k] = &rigs[k];
}

void rig_leave(struct rig *rig, void *state)
{
    uint64_t begun = loop_os_linux.now_ns();

    if (rig->driver->worker_leave)
        rig->driver->worker_leave(state, &rig->env);
    for (rig_turn(rig); rig->env.background > 0; rig_turn(rig)) {
        rig->env.loop_ops->wait(rig->env.loop, loop_os_linux.now_ns() + 1000000);
        if (loop_os_linux.now_ns() - begun > TIMEOUT_NS)
            fail_msg("the driver does not leave the loop");
    }
}

void rig_finish(struct rig *rig)
{
    assert_int_equal(rig->pending, 0);
    assert_int_equal(rig->bounces, 0);
    rig_turn(rig);
    rig->env.loop_ops->destroy(rig->env.loop);
    if (rig->env.loop_ops->shared_destroy)
        rig->env.loop_ops->shared_destroy(rig->loop_shared);
}

/* ----------------------------------------------------------------------------------- reads -- */

void rig_turn(struct rig *rig)
{
    struct driver_env *env = &rig->env;
    struct queue_node *node = queue_take_all(&rig->mailbox);
    struct loop_op *op;

    while (node) {
        struct queue_node *next = node->next;
        node->run(env, node);
        node = next;
    }
    env->loop_ops->flush(env->loop);
    op = env->loop_ops->reap(env->loop, 64);
    while (op) {
        struct loop_op *next = op->next;
        op->done(op);
        op = next;
    }
}

void rig_begin(struct rig *rig, struct rig_read *read)
{
    read->rig = rig;
    read->completions = 0;
    rig->pending++;
    rig->driver->read(&rig->env, &read->read);
}

void rig_wait(struct rig_read *read)
{
    struct rig *rig = read->rig;
    uint64_t begun = loop_os_linux.now_ns();

    while (read->completions == 0) {
        for (uint32_t i = 0; i < RIG_PEERS_MAX; i++)
            if (rig->peers[i])
                rig_turn(rig->peers[i]);
        if (read->completions == 0)
            rig->env.loop_ops->wait(rig->env.loop, loop_os_linux.now_ns() + 1000000);
        if (loop_os_linux.now_ns() - begun > TIMEOUT_NS)
            fail_msg("a read does not complete");
    }
}

void rig_cancel(struct rig_read *read)
{
    read->rig->driver->cancel(&read->rig->env, &read->read);
}

void rig_read_init(struct rig_read *read, struct driver_object *object, uint64_t offset,
                   uint64_t bytes, void *addr)
{
    memset(read, 0, sizeof(*read));
    read->read.object = object;
    read->read.offset = offset;
    read->read.bytes = bytes;
    read->read.addr = addr;
    read->read.buffer = -1;
    read->read.kind = DRIVER_READ;
    read->read.status = 12345;
}

int rig_read(struct rig *rig, struct driver_object *object, uint64_t offset, uint64_t bytes,
             void *addr)
{
    struct rig_read read;

    rig_read_init(&read, object, offset, bytes, addr);
    rig_begin(rig, &read);
    rig_wait(&read);
    return read.read.status;
}

int rig_probe(struct rig *rig, struct driver_object *object)
{
    struct rig_read read;

    rig_read_init(&read, object, 0, 0, NULL);
    read.read.kind = DRIVER_PROBE;
    rig_begin(rig, &read);
    rig_wait(&read);
    return read.read.status;
}

/* ------------------------------------------------------------------------- stores, objects -- */

int rig_store_open(struct rig *rig, void *state, const char *url, struct lsio_store **out, ...)
{
    struct lsio_option options[8];
    char text[8][96];
    char why[128] = "";
    struct driver_open open = {.driver = rig->driver,
                               .env = &rig->env,
                               .os = rig->env.os,
                               .url = url,
                               .options = options,
                               .worker_count = rig->env.worker_count,
                               .state = state,
                               .why = why,
                               .why_bytes = sizeof(why)};
    const char *rest = strstr(url, "://");
    const char *option;
    va_list list;
    int status;

    open.rest = rest ? rest + 3 : url;
    va_start(list, out);
    while ((option = va_arg(list, const char *)) != NULL) {
        char *equals;
        snprintf(text[open.option_count], sizeof(text[0]), "%s", option);
        equals = strchr(text[open.option_count], '=');
        assert_non_null(equals);
        *equals = '\0';
        options[open.option_count].key = text[open.option_count];
        options[open.option_count].value = equals + 1;
        open.option_count++;
    }
    va_end(list);
    status = rig->driver->store_open(&open, out);
    if (status < 0 && open.option_count > 0)
        assert_true(why[0] != '\0');
    return status;
}

void rig_object_init(struct driver_object *object, struct lsio_store *store, const char *key)
{
    memset(object, 0, sizeof(*object));
    atomic_store(&object->plan.size, LSIO_SIZE_UNKNOWN);
    object->plan.profile = &store->profile;
    object->store = store;
    object->key = key;
}

int rig_list(struct lsio_store *store, const char *prefix, char delimiter, lsio_list_fn *on_page,
             void *data)
{
    struct driver_failure failure = {0};
    int status = store->driver->list(store, prefix, delimiter, on_page, data, &failure);

    free(failure.detail);
    return status;
}

/* ----------------------------------------------------------------------------------- files -- */

char *rig_directory_make(const char *below)
{
    const char *base = below ? below : getenv("TMPDIR");
    char *path = NULL;

    assert_true(asprintf(&path, "%s/lsio-rig-XXXXXX", base ? base : "/tmp") > 0);
    assert_non_null(mkdtemp(path));
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void rig_directory_remove(char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

uint8_t rig_pattern(uint64_t seed, uint64_t offset)
{
    uint64_t x = (offset / 8 + seed * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;

    x ^= x >> 31;
    return (uint8_t)(x >> (offset % 8 * 8));
}

void rig_file_write(const char *directory, const char *name, uint64_t bytes, uint64_t seed)
{
    char path[4096];
    uint8_t *data = malloc(bytes ? bytes : 1);
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    for (char *at = path + strlen(directory) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        mkdir(path, 0777);
        *at = '/';
    }
    assert_non_null(data);
    for (uint64_t i = 0; i < bytes; i++)
        data[i] = rig_pattern(seed, i);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    free(data);
}

void rig_check(const void *memory, uint64_t bytes, uint64_t seed, uint64_t offset)
{
    const uint8_t *at = memory;

    for (uint64_t i = 0; i < bytes; i++)
        if (at[i] != rig_pattern(seed, offset + i))
            fail_msg("byte %llu of %llu is not that of offset %llu", (unsigned long long)i,
                     (unsigned long long)bytes, (unsigned long long)(offset + i));
}
