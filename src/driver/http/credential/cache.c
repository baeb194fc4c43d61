/* SPDX-License-Identifier: MIT */
/*
 * cache.c - see cache.h.
 *
 * States, by what is held and what the clock says:
 *     nothing, or expired          a search runs or is begun; who asks waits
 *     fresh                        given out
 *     REFRESH_S (or a tenth of its life, if that is less) before the expiry
 *                                  given out, and a search begins
 *     last search failed           its status, for FAILURE_HOLD_MS; then a search again. What has
 *                                  not expired yet is given out meanwhile. Want of memory says
 *                                  nothing of the providers, and holds for SHORTAGE_HOLD_MS
 * One search at a time, one job of the helper. So ten thousand chunks that begin at once ask once,
 * and a provider that fails is not asked once per chunk.
 *
 * Credentials that were found once and are not found any more are a failure, not anonymous: the
 * identity of a store does not change while it is read.
 *
 * A search is bounded by SEARCH_MS, whatever the providers do; the application's callback is the
 * exception, for nobody can end that.
 *
 * Threads: everything under `mutex` but `stop`. The helper holds it only to put an answer down; the
 * nodes of those who wait are posted with it held, so that a wait is either in the list or on its
 * way, and cancel can tell which.
 */
#define _GNU_SOURCE /* pthread_condattr_setclock */
#include "driver/http/credential/cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mark.h"

#define REFRESH_S        300u
#define EXPIRY_SLACK_S   5u /* a request takes time to arrive */
#define FAILURE_HOLD_MS  5000u
#define SHORTAGE_HOLD_MS 50u /* so that those who wait see it, and do not search in a circle */
#define SEARCH_MS        60000u

struct credential_cache {
    /* frozen */
    enum credential_store store;
    struct credential_settings settings;
    struct credential_world world;
    struct credential_memory *memory;
    struct http_helper *helper;

    /* shared, under mutex */
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    struct credential_ref *current; /* NULL: none */
    uint64_t refresh_unix_s;        /* when `current` is to be renewed; UINT64_MAX: never */
    int failure;                    /* of the last search; 0: none */
    uint64_t failure_until_ms;
    bool searching;
    bool named; /* credentials were found once: anonymous is no answer any more */
    struct credential_wait *waits;
    char report[CREDENTIAL_REPORT_BYTES];
    struct helper_job job;

    /* shared */
    _Atomic bool stop;
};

void credential_ref_release(struct credential_ref *ref)
{
    if (!ref || atomic_fetch_sub(&ref->users, 1) != 1)
        return;
    http_credential_wipe(&ref->credential);
    free(ref);
}

/* ------------------------------------------------------------------------------------ search -- */

/* What the chain found, looked at with the eyes of a store that is being read: 0, or a status and
 * a sentence behind the report. `named`: see there. */
static int search_judge(const struct credential_cache *cache, bool named,
                        const struct http_credential *found, char *report)
{
    uint64_t now_s = cache->world.unix_s(cache->world.data);
    size_t used = strlen(report);
    const char *sentence;

    if (named && found->kind == HTTP_CREDENTIAL_NONE) {
        LSIO_MARK(credential_lost);
        sentence = "credentials were found before, and are not any more";
    } else if (found->expires_unix_s && found->expires_unix_s <= now_s + EXPIRY_SLACK_S) {
        /* Given out, it would be looked for again at once, and again. */
        LSIO_MARK(credential_too_short);
        sentence = "what was found expires within seconds";
    } else {
        return 0;
    }
    snprintf(report + used, CREDENTIAL_REPORT_BYTES - used, "%s%s", used ? "; " : "", sentence);
    return -EACCES;
}

/* Asks the chain; `report` says how it went. */
static int search(struct credential_cache *cache, bool named, struct credential_ref **out,
                  char *report)
{
    struct credential_request request = {.store = cache->store,
                                         .settings = &cache->settings,
                                         .world = &cache->world,
                                         .memory = cache->memory,
                                         .stop = &cache->stop,
                                         .deadline_ms =
                                             cache->world.now_ms(cache->world.data) + SEARCH_MS};
    struct credential_ref *ref = calloc(1, sizeof(*ref));
    int status;

    if (!ref)
        return -ENOMEM;
    atomic_init(&ref->users, 1);
    status = credential_chain_run(&request, &ref->credential, report, CREDENTIAL_REPORT_BYTES);
    if (status == 0)
        status = search_judge(cache, named, &ref->credential, report);
    if (status < 0)
        credential_ref_release(ref);
    else
        *out = ref;
    return status;
}

/* With the mutex held: those who wait look again. */
static void wake_all(struct credential_cache *cache)
{
    struct credential_wait *wait = cache->waits;

    cache->waits = NULL;
    while (wait) {
        struct credential_wait *next = wait->next;
        wait->env->post(wait->env, &wait->node); /* may be gone from here on */
        wait = next;
    }
    pthread_cond_broadcast(&cache->answered);
}

/* With the mutex held: puts the answer of a search down. */
static void answer_take(struct credential_cache *cache, int status, struct credential_ref *ref)
{
    uint64_t expires_s, life_s;

    cache->failure = status;
    cache->failure_until_ms = cache->world.now_ms(cache->world.data) +
                              (status == -ENOMEM ? SHORTAGE_HOLD_MS : FAILURE_HOLD_MS);
    if (status < 0) {
        LSIO_MARK(credential_search_failed);
        return;
    }
    credential_ref_release(cache->current);
    cache->current = ref;
    cache->named = ref->credential.kind != HTTP_CREDENTIAL_NONE;
    cache->refresh_unix_s = UINT64_MAX;
    expires_s = ref->credential.expires_unix_s;
    if (expires_s == 0)
        return;
    /* Has the clock jumped beyond the expiry, the difference is huge, and REFRESH_S counts. */
    life_s = expires_s - cache->world.unix_s(cache->world.data);
    cache->refresh_unix_s = expires_s - (life_s / 10 < REFRESH_S ? life_s / 10 : REFRESH_S);
}

static void on_job(struct http_helper *helper, struct helper_job *job)
{
    struct credential_cache *cache = container_of(job, struct credential_cache, job);
    struct credential_ref *ref = NULL;
    char report[CREDENTIAL_REPORT_BYTES] = "";
    int status = -ECANCELED;
    bool named;

    pthread_mutex_lock(&cache->mutex);
    named = cache->named;
    pthread_mutex_unlock(&cache->mutex);
    if (helper_stopping(helper))
        snprintf(report, sizeof(report), "the context is closing");
    else
        status = search(cache, named, &ref, report);
    pthread_mutex_lock(&cache->mutex);
    memcpy(cache->report, report, sizeof(cache->report));
    answer_take(cache, status, ref);
    cache->searching = false;
    wake_all(cache);
    pthread_mutex_unlock(&cache->mutex); /* the cache may be gone from here on */
}

/* With the mutex held. */
static int search_begin(struct credential_cache *cache)
{
    int status;

    if (cache->searching)
        return 0;
    cache->job.run = on_job;
    status = helper_post(cache->helper, &cache->job);
    cache->searching = status == 0;
    return status;
}

/* ------------------------------------------------------------------------------------ getting --
 */

static bool is_usable(const struct credential_cache *cache, uint64_t now_s)
{
    uint64_t expires_s = cache->current ? cache->current->credential.expires_unix_s : 0;

    return cache->current && (expires_s == 0 || now_s + EXPIRY_SLACK_S < expires_s);
}

/* With the mutex held: 0 and a reference, CREDENTIAL_WAIT (a search is running), or a status. */
static int get_locked(struct credential_cache *cache, struct credential_ref **out)
{
    uint64_t now_s = cache->world.unix_s(cache->world.data);
    bool failed =
        cache->failure < 0 && cache->world.now_ms(cache->world.data) < cache->failure_until_ms;
    bool usable = is_usable(cache, now_s);
    int status = 0;

    if ((!usable || now_s >= cache->refresh_unix_s) && !failed)
        status = search_begin(cache);
    if (usable) {
        atomic_fetch_add(&cache->current->users, 1);
        *out = cache->current;
        return 0;
    }
    if (cache->searching)
        return CREDENTIAL_WAIT;
    return failed ? cache->failure : status;
}

int credential_cache_get(struct credential_cache *cache, struct credential_wait *wait,
                         struct credential_ref **out)
{
    int status;

    pthread_mutex_lock(&cache->mutex);
    status = get_locked(cache, out);
    if (status == CREDENTIAL_WAIT) {
        wait->next = cache->waits;
        cache->waits = wait;
    }
    pthread_mutex_unlock(&cache->mutex);
    return status;
}

bool credential_cache_cancel(struct credential_cache *cache, struct credential_wait *wait)
{
    struct credential_wait **at;
    bool found;

    pthread_mutex_lock(&cache->mutex);
    at = &cache->waits;
    while (*at && *at != wait)
        at = &(*at)->next;
    found = *at != NULL;
    if (found)
        *at = wait->next;
    pthread_mutex_unlock(&cache->mutex);
    return found;
}

int credential_cache_get_blocking(struct credential_cache *cache, uint32_t timeout_ms,
                                  struct credential_ref **out)
{
    struct timespec end;
    int status, late = 0;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += timeout_ms / 1000;
    end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    pthread_mutex_lock(&cache->mutex);
    while ((status = get_locked(cache, out)) == CREDENTIAL_WAIT && late == 0)
        late = pthread_cond_timedwait(&cache->answered, &cache->mutex, &end);
    pthread_mutex_unlock(&cache->mutex);
    return status == CREDENTIAL_WAIT ? -ETIMEDOUT : status;
}

void credential_cache_refused(struct credential_cache *cache, const struct credential_ref *ref)
{
    pthread_mutex_lock(&cache->mutex);
    if (cache->current == ref) {
        LSIO_MARK(credential_refused_by_server);
        credential_ref_release(cache->current);
        cache->current = NULL;
    }
    pthread_mutex_unlock(&cache->mutex);
}

void credential_cache_report(struct credential_cache *cache, char *out, size_t bytes)
{
    pthread_mutex_lock(&cache->mutex);
    snprintf(out, bytes, "%s", cache->report);
    pthread_mutex_unlock(&cache->mutex);
}

/* -------------------------------------------------------------------------------------- life -- */

static int locks_init(struct credential_cache *cache)
{
    pthread_condattr_t attributes;
    int failed;

    if (pthread_mutex_init(&cache->mutex, NULL))
        return -ENOMEM;
    failed = pthread_condattr_init(&attributes);
    if (!failed) {
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        failed = pthread_cond_init(&cache->answered, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    if (failed)
        pthread_mutex_destroy(&cache->mutex);
    return failed ? -ENOMEM : 0;
}

int credential_cache_create(const struct credential_cache_config *config,
                            struct credential_cache **out)
{
    struct credential_cache *cache = calloc(1, sizeof(*cache));

    if (!cache)
        return -ENOMEM;
    cache->store = config->store;
    cache->world = *config->world;
    cache->memory = config->memory;
    cache->helper = config->helper;
    if (credential_settings_copy(&cache->settings, config->settings) < 0)
        goto fail;
    if (locks_init(cache) < 0)
        goto fail;
    *out = cache;
    return 0;
fail:
    credential_settings_finish(&cache->settings);
    free(cache);
    return -ENOMEM;
}

void credential_cache_destroy(struct credential_cache *cache, bool forked)
{
    if (!cache)
        return;
    if (!forked) {
        atomic_store(&cache->stop, true);
        pthread_mutex_lock(&cache->mutex);
        assert(!cache->waits);
        if (cache->searching && helper_withdraw(cache->helper, &cache->job))
            cache->searching = false;
        while (cache->searching)
            pthread_cond_wait(&cache->answered, &cache->mutex);
        pthread_mutex_unlock(&cache->mutex);
        pthread_cond_destroy(&cache->answered);
        pthread_mutex_destroy(&cache->mutex);
    }
    credential_ref_release(cache->current);
    credential_settings_finish(&cache->settings);
    free(cache);
}
