/* SPDX-License-Identifier: MIT */
/* queue.h: messages of many producers arrive once each, those of one producer in order; push tells
 * of empty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "base/queue.h"

#define PRODUCERS 6
#define MESSAGES  20000

struct message {
    struct queue_node node; /* first */
    int producer, number;
};

static void alone(void **state)
{
    struct queue queue = {NULL};
    struct queue_node nodes[3];
    struct queue_node *node;

    (void)state;
    assert_true(queue_is_empty(&queue));
    assert_null(queue_take_all(&queue));
    assert_true(queue_push(&queue, &nodes[0]));
    assert_false(queue_push(&queue, &nodes[1]));
    assert_false(queue_push(&queue, &nodes[2]));
    assert_false(queue_is_empty(&queue));
    node = queue_take_all(&queue);
    for (int i = 0; i < 3; i++, node = node->next)
        assert_ptr_equal(node, &nodes[i]);
    assert_null(node);
    assert_true(queue_is_empty(&queue));
    assert_true(queue_push(&queue, &nodes[1]));
}

struct producer {
    struct queue *queue;
    pthread_t thread;
    struct message *messages;
    _Atomic int *empties;
};

static void *producer_main(void *data)
{
    struct producer *producer = data;

    for (int i = 0; i < MESSAGES; i++)
        if (queue_push(producer->queue, &producer->messages[i].node))
            atomic_fetch_add(producer->empties, 1);
    return NULL;
}

static void many_producers(void **state)
{
    struct queue queue = {NULL};
    struct producer producers[PRODUCERS];
    _Atomic int empties = 0;
    int next[PRODUCERS] = {0}, got = 0, takes = 0;

    (void)state;
    for (int p = 0; p < PRODUCERS; p++) {
        producers[p] = (struct producer){.queue = &queue, .empties = &empties};
        producers[p].messages = calloc(MESSAGES, sizeof(struct message));
        for (int i = 0; i < MESSAGES; i++)
            producers[p].messages[i] = (struct message){.producer = p, .number = i};
        assert_int_equal(pthread_create(&producers[p].thread, NULL, producer_main, &producers[p]),
                         0);
    }
    while (got < PRODUCERS * MESSAGES) {
        struct queue_node *node = queue_take_all(&queue);
        takes += node != NULL;
        while (node) {
            struct message *message = (struct message *)(void *)node;
            node = node->next;
            assert_int_equal(message->number, next[message->producer]++);
            got++;
        }
    }
    for (int p = 0; p < PRODUCERS; p++) {
        pthread_join(producers[p].thread, NULL);
        free(producers[p].messages);
    }
    assert_int_equal(empties, takes); /* each batch was begun by one push that found it empty */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(alone), cmocka_unit_test(many_producers)};

    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
