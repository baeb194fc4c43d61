/* SPDX-License-Identifier: MIT */
/*
 * cache.c: one search whoever asks, waiting and canceling, renewal in the background, failures that
 * are kept for a while, credentials that a server refused, and the end of all that.
 */
#define _GNU_SOURCE
#include "credential_case.h"

#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "driver/http/credential/cache.h"

#define HOLD_MS          5000 /* how long a failure is kept */
#define SHORTAGE_HOLD_MS 50   /* if memory was short */

/* A cache whose credentials come from an application that does what the test says. */
struct cache_case {
    struct credential_cache *cache;
    struct http_helper *helper;
    struct credential_settings settings;
    struct credential_world world;
    _Atomic uint64_t now_s, now_ms;

    sem_t asked;  /* posted when the application is asked */
    sem_t answer; /* it answers once for each post */
    _Atomic int searches;
    int status; /* what it answers */
    uint64_t life_s;
};

static int application(void *data, struct lsio_credential *answer)
{
    static const char *const tokens[] = {"", "hush1", "hush2", "hush3", "hush4", "hush5"};
    struct cache_case *c = data;

    c->searches++;
    sem_post(&c->asked);
    sem_wait(&c->answer);
    answer->token = tokens[c->searches];
    answer->expires_unix_s = c->life_s ? c->now_s + c->life_s : 0;
    snprintf(answer->error, sizeof(answer->error), "the vault is closed");
    return c->status;
}

static uint64_t cache_unix_s(void *data)
{
    return ((struct cache_case *)data)->now_s;
}

static uint64_t cache_now_ms(void *data)
{
    return ((struct cache_case *)data)->now_ms;
}

static void cache_begin(struct cache_case *c)
{
    struct credential_cache_config config = {
        .store = CREDENTIAL_GCS, .settings = &c->settings, .world = &c->world};

    memset(c, 0, sizeof(*c));
    sem_init(&c->asked, 0, 0);
    sem_init(&c->answer, 0, 0);
    c->now_s = CASE_NOW_S;
    c->now_ms = 1000;
    c->life_s = 3600;
    c->settings.callback = application;
    c->settings.callback_data = c;
    c->world = (struct credential_world){.unix_s = cache_unix_s, .now_ms = cache_now_ms, .data = c};
    assert_int_equal(helper_create(&c->helper), 0);
    config.helper = c->helper;
    assert_int_equal(credential_cache_create(&config, &c->cache), 0);
}

static void cache_end(struct cache_case *c)
{
    credential_cache_destroy(c->cache, false);
    helper_destroy(c->helper, false);
    credential_settings_finish(&c->settings);
    sem_destroy(&c->asked);
    sem_destroy(&c->answer);
}

static void cache_is(struct cache_case *c, const char *token)
{
    struct credential_ref *ref = NULL;

    assert_int_equal(credential_cache_get_blocking(c->cache, 30000, &ref), 0);
    assert_string_equal(ref->credential.token, token);
    credential_ref_release(ref);
}

/* The first credentials, hush1. */
static void cache_fill(struct cache_case *c)
{
    sem_post(&c->answer);
    cache_is(c, "hush1");
    sem_wait(&c->asked);
}

/* ----------------------------------------------------------------------------------- workers -- */

struct worker {
    struct driver_env env; /* first */
    struct credential_wait wait;
    struct cache_case *c;
    sem_t posted;
    int ran;
    pthread_t thread;
};

static void worker_post(struct driver_env *env, struct queue_node *node)
{
    struct worker *worker = (struct worker *)(void *)env;

    assert_ptr_equal(node, &worker->wait.node);
    sem_post(&worker->posted);
}

static void worker_run(struct driver_env *env, struct queue_node *node)
{
    ((struct worker *)(void *)env)->ran++;
}

static void worker_init(struct worker *worker, struct cache_case *c)
{
    memset(worker, 0, sizeof(*worker));
    worker->c = c;
    worker->env.post = worker_post;
    worker->wait.env = &worker->env;
    worker->wait.node.run = worker_run;
    sem_init(&worker->posted, 0, 0);
}

/* Gets as a worker does. */
static void *worker_main(void *data)
{
    struct worker *worker = data;
    struct credential_ref *ref = NULL;
    int status;

    while ((status = credential_cache_get(worker->c->cache, &worker->wait, &ref)) ==
           CREDENTIAL_WAIT) {
        sem_wait(&worker->posted);
        worker->wait.node.run(&worker->env, &worker->wait.node);
    }
    if (status == 0)
        assert_string_equal(ref->credential.token, "hush1");
    credential_ref_release(ref);
    return (void *)(intptr_t)status;
}

/* Eight workers want credentials at once: one search gives them to all, or fails for all. */
static void all_get(struct cache_case *c, int status)
{
    struct worker workers[8];
    void *got;

    c->status = status;
    for (int i = 0; i < 8; i++) {
        worker_init(&workers[i], c);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
    }
    sem_wait(&c->asked);
    sem_post(&c->answer);
    for (int i = 0; i < 8; i++) {
        pthread_join(workers[i].thread, &got);
        assert_int_equal((intptr_t)got, status);
        assert_true(workers[i].ran <= 1);
        sem_destroy(&workers[i].posted);
    }
    assert_int_equal(c->searches, 1);
}

static void one_search_for_all(void **state)
{
    struct cache_case c;

    (void)state;
    cache_begin(&c);
    all_get(&c, 0);
    cache_end(&c);
}

static void one_failure_for_all(void **state)
{
    struct cache_case c;
    char report[CREDENTIAL_REPORT_BYTES];

    (void)state;
    cache_begin(&c);
    all_get(&c, -EPERM);
    credential_cache_report(c.cache, report, sizeof(report));
    case_says(report, "callback: the vault is closed");
    cache_end(&c);
}

static void cancel(void **state)
{
    struct cache_case c;
    struct worker workers[3];
    struct credential_ref *ref = NULL;

    (void)state;
    cache_begin(&c);
    for (int i = 0; i < 3; i++) {
        worker_init(&workers[i], &c);
        assert_int_equal(credential_cache_get(c.cache, &workers[i].wait, &ref), CREDENTIAL_WAIT);
    }
    assert_true(credential_cache_cancel(c.cache, &workers[1].wait));
    assert_false(credential_cache_cancel(c.cache, &workers[1].wait));
    sem_wait(&c.asked);
    sem_post(&c.answer);
    sem_wait(&workers[0].posted);
    sem_wait(&workers[2].posted);
    assert_int_equal(sem_trywait(&workers[1].posted), -1);
    assert_false(credential_cache_cancel(c.cache, &workers[0].wait)); /* its node was posted */
    assert_int_equal(credential_cache_get(c.cache, &workers[0].wait, &ref), 0);
    assert_null(workers[0].wait.node.next);
    credential_ref_release(ref);
    for (int i = 0; i < 3; i++)
        sem_destroy(&workers[i].posted);
    cache_end(&c);
}

/* ----------------------------------------------------------------------------------- renewal -- */

static void renewed_in_the_background(void **state)
{
    struct cache_case c;
    struct credential_ref *old = NULL;

    (void)state;
    cache_begin(&c);
    cache_fill(&c);
    assert_int_equal(credential_cache_get_blocking(c.cache, 0, &old), 0);
    c.now_s += 3600 - 301;
    cache_is(&c, "hush1");
    assert_int_equal(c.searches, 1);
    c.now_s += 1; /* five minutes are left */
    cache_is(&c, "hush1");
    sem_wait(&c.asked);
    cache_is(&c, "hush1"); /* while the search runs, and without another one */
    assert_int_equal(c.searches, 2);
    c.now_s += 295; /* seconds before its end the old one is not used any more: wait */
    sem_post(&c.answer);
    cache_is(&c, "hush2");
    assert_string_equal(old->credential.token, "hush1"); /* for as long as somebody signs with it */
    credential_ref_release(old);
    cache_end(&c);
}

static void short_lives(void **state)
{
    struct cache_case c;
    struct credential_ref *ref = NULL;
    char report[CREDENTIAL_REPORT_BYTES];

    (void)state;
    cache_begin(&c);
    c.life_s = 300; /* as long as the margin of long ones: a tenth is taken then */
    cache_fill(&c);
    c.now_s += 269;
    cache_is(&c, "hush1");
    assert_int_equal(c.searches, 1);
    c.now_s += 1;
    cache_is(&c, "hush1");
    sem_wait(&c.asked);
    assert_int_equal(c.searches, 2);
    sem_post(&c.answer);
    cache_end(&c);

    /* So short that it is of no use: one search, and no more for a while. */
    cache_begin(&c);
    c.life_s = 5;
    sem_post(&c.answer);
    for (int i = 0; i < 10; i++)
        assert_int_equal(credential_cache_get_blocking(c.cache, 30000, &ref), -EACCES);
    assert_int_equal(c.searches, 1);
    credential_cache_report(c.cache, report, sizeof(report));
    case_says(report, "expires within seconds");
    cache_end(&c);

    cache_begin(&c);
    c.life_s = 0;
    cache_fill(&c);
    c.now_s += 1000000000;
    cache_is(&c, "hush1");
    assert_int_equal(c.searches, 1);
    cache_end(&c);
}

/* A wait that ends when the search that is under way has put its answer down. */
static void answer_wait(struct cache_case *c, struct worker *worker)
{
    sem_post(&c->answer);
    sem_wait(&worker->posted);
}

static void failure_is_kept(void **state)
{
    static const struct {
        int status;
        uint64_t hold_ms;
    } rows[] = {{-EPERM, HOLD_MS}, {-ENOMEM, SHORTAGE_HOLD_MS}};

    (void)state;
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        struct cache_case c;
        struct worker worker;
        struct credential_ref *ref = NULL;

        cache_begin(&c);
        worker_init(&worker, &c);
        c.status = rows[row].status;
        assert_int_equal(credential_cache_get(c.cache, &worker.wait, &ref), CREDENTIAL_WAIT);
        answer_wait(&c, &worker);
        for (int i = 0; i < 100; i++)
            assert_int_equal(credential_cache_get(c.cache, &worker.wait, &ref), c.status);
        c.now_ms += rows[row].hold_ms - 1;
        assert_int_equal(credential_cache_get(c.cache, &worker.wait, &ref), c.status);
        assert_int_equal(c.searches, 1);
        c.now_ms += 1;
        c.status = 0;
        assert_int_equal(credential_cache_get(c.cache, &worker.wait, &ref), CREDENTIAL_WAIT);
        answer_wait(&c, &worker);
        assert_int_equal(credential_cache_get(c.cache, &worker.wait, &ref), 0);
        assert_string_equal(ref->credential.token, "hush2");
        credential_ref_release(ref);
        sem_destroy(&worker.posted);
        cache_end(&c);
    }
}

/* A renewal that fails leaves the old ones until they end. */
static void renewal_fails(void **state)
{
    struct cache_case c;
    struct worker worker;
    struct credential_ref *ref = NULL;

    (void)state;
    cache_begin(&c);
    worker_init(&worker, &c);
    cache_fill(&c);
    c.now_s += 3400;
    c.status = -EPERM;
    sem_post(&c.answer);
    cache_is(&c, "hush1");
    sem_wait(&c.asked);
    c.now_s += 197; /* three seconds are left: nobody signs with that */
    do {            /* waits for the search's end, if it has not ended yet */
        int status = credential_cache_get(c.cache, &worker.wait, &ref);
        if (status != CREDENTIAL_WAIT) {
            assert_int_equal(status, -EPERM);
            break;
        }
        sem_wait(&worker.posted);
    } while (true);
    assert_int_equal(c.searches, 2);
    sem_destroy(&worker.posted);
    cache_end(&c);
}

/* A place that is set up no more: an error, not another identity. */
static void lost(void **state)
{
    const struct fetch_client client = {.proxy = ""};
    struct credential_case *source = case_begin(CREDENTIAL_S3);
    struct credential_world world;
    struct credential_cache_config config = {.store = CREDENTIAL_S3,
                                             .settings = &source->settings,
                                             .world = &world,
                                             .memory = &source->memory};
    struct credential_cache *cache;
    struct credential_ref *ref = NULL;
    struct http_helper *helper;
    char report[CREDENTIAL_REPORT_BYTES];
    const char *path = case_file(source, ".aws/credentials",
                                 "[default]\naws_access_key_id=A\naws_secret_access_key=h\n");

    (void)state;
    case_environment(source, "AWS_EC2_METADATA_DISABLED", "true");
    credential_world_init(&world, &client);
    assert_int_equal(helper_create(&helper), 0);
    config.helper = helper;
    assert_int_equal(credential_cache_create(&config, &cache), 0);
    assert_int_equal(credential_cache_get_blocking(cache, 30000, &ref), 0);
    assert_string_equal(ref->credential.id, "A");
    assert_int_equal(remove(path), 0);
    credential_cache_refused(cache, ref);
    credential_ref_release(ref);
    assert_int_equal(credential_cache_get_blocking(cache, 30000, &ref), -EACCES);
    credential_cache_report(cache, report, sizeof(report));
    case_says(report, "were found before");
    credential_cache_destroy(cache, false);
    /* For who begins without any, anonymous is the answer. */
    assert_int_equal(credential_cache_create(&config, &cache), 0);
    assert_int_equal(credential_cache_get_blocking(cache, 30000, &ref), 0);
    assert_int_equal(ref->credential.kind, HTTP_CREDENTIAL_NONE);
    credential_ref_release(ref);
    credential_cache_destroy(cache, false);
    helper_destroy(helper, false);
    case_end(source);
}

static void refused(void **state)
{
    struct cache_case c;
    struct credential_ref *first = NULL, *second = NULL;

    (void)state;
    cache_begin(&c);
    cache_fill(&c);
    assert_int_equal(credential_cache_get_blocking(c.cache, 0, &first), 0);
    credential_cache_refused(c.cache, first);
    sem_post(&c.answer);
    assert_int_equal(credential_cache_get_blocking(c.cache, 30000, &second), 0);
    assert_string_equal(second->credential.token, "hush2");
    credential_cache_refused(c.cache, first); /* a late answer to the old ones changes nothing */
    cache_is(&c, "hush2");
    assert_int_equal(c.searches, 2);
    credential_ref_release(first);
    credential_cache_refused(c.cache, second);
    credential_ref_release(second);
    cache_end(&c);
}

/* --------------------------------------------------------------------------------------- end -- */

static void blocking_times_out(void **state)
{
    struct cache_case c;
    struct credential_ref *ref = NULL;

    (void)state;
    cache_begin(&c);
    assert_int_equal(credential_cache_get_blocking(c.cache, 1, &ref), -ETIMEDOUT);
    assert_null(ref);
    sem_wait(&c.asked);
    sem_post(&c.answer);
    cache_is(&c, "hush1");
    cache_end(&c);
}

struct hung_world {
    sem_t began;
};

static int fetch_until_stopped(void *data, const struct fetch_request *request,
                               struct fetch_response *response)
{
    struct hung_world *hung = data;

    sem_post(&hung->began);
    while (!atomic_load(request->stop))
        sched_yield();
    return -ECANCELED;
}

static uint64_t hung_clock(void *data)
{
    return 1000;
}

struct gate_job {
    struct helper_job job;
    sem_t began, gate;
};

static void on_gate(struct http_helper *helper, struct helper_job *job)
{
    struct gate_job *gate = container_of(job, struct gate_job, job);

    sem_post(&gate->began);
    sem_wait(&gate->gate);
}

static void destroyed_while_searching(void **state)
{
    struct hung_world hung;
    struct gate_job gate = {.job = {.run = on_gate}};
    struct credential_settings settings = {.callback = NULL};
    struct credential_memory memory = {METADATA_UNKNOWN};
    struct credential_world world = {
        .unix_s = hung_clock, .now_ms = hung_clock, .fetch = fetch_until_stopped, .data = &hung};
    struct credential_cache_config config = {
        .store = CREDENTIAL_S3, .settings = &settings, .world = &world, .memory = &memory};
    struct credential_cache *cache;
    struct credential_ref *ref = NULL;
    struct http_helper *helper;

    (void)state;
    sem_init(&hung.began, 0, 0);
    sem_init(&gate.began, 0, 0);
    sem_init(&gate.gate, 0, 0);
    assert_int_equal(helper_create(&helper), 0);
    config.helper = helper;
    /* in the middle of a request */
    assert_int_equal(credential_cache_create(&config, &cache), 0);
    assert_int_equal(credential_cache_get_blocking(cache, 0, &ref), -ETIMEDOUT);
    sem_wait(&hung.began);
    credential_cache_destroy(cache, false);
    /* behind another job that has not ended */
    assert_int_equal(helper_post(helper, &gate.job), 0);
    sem_wait(&gate.began);
    assert_int_equal(credential_cache_create(&config, &cache), 0);
    assert_int_equal(credential_cache_get_blocking(cache, 0, &ref), -ETIMEDOUT);
    credential_cache_destroy(cache, false);
    sem_post(&gate.gate);
    /* before it was used */
    assert_int_equal(credential_cache_create(&config, &cache), 0);
    credential_cache_destroy(cache, false);
    credential_cache_destroy(NULL, false);
    helper_destroy(helper, false);
    assert_int_equal(sem_trywait(&hung.began), -1);
    sem_destroy(&hung.began);
    sem_destroy(&gate.began);
    sem_destroy(&gate.gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_search_for_all),
        cmocka_unit_test(one_failure_for_all),
        cmocka_unit_test(cancel),
        cmocka_unit_test(renewed_in_the_background),
        cmocka_unit_test(short_lives),
        cmocka_unit_test(failure_is_kept),
        cmocka_unit_test(renewal_fails),
        cmocka_unit_test(lost),
        cmocka_unit_test(refused),
        cmocka_unit_test(blocking_times_out),
        cmocka_unit_test(destroyed_while_searching),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
