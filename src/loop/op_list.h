/* SPDX-License-Identifier: MIT */
/* op_list.h - a singly linked first-in, first-out list of operations, through loop_op.next. */
#ifndef LSIO_LOOP_OP_LIST_H
#define LSIO_LOOP_OP_LIST_H

#include <stdbool.h>

#include "loop/loop.h"

struct op_list {
    struct loop_op *first, *last; /* last has a meaning only while first is set */
};

static inline void op_list_append(struct op_list *list, struct loop_op *op)
{
    op->next = NULL;
    if (list->first)
        list->last->next = op;
    else
        list->first = op;
    list->last = op;
}

/* Undoes a take: the operation is the first again. */
static inline void op_list_prepend(struct op_list *list, struct loop_op *op)
{
    op->next = list->first;
    if (!list->first)
        list->last = op;
    list->first = op;
}

static inline struct loop_op *op_list_take(struct op_list *list)
{
    struct loop_op *op = list->first;

    if (op)
        list->first = op->next;
    return op;
}

/* Searches from the oldest on: for rare events only. False if it is not there. */
static inline bool op_list_remove(struct op_list *list, struct loop_op *op)
{
    struct loop_op *before = NULL;

    for (struct loop_op *at = list->first; at; before = at, at = at->next) {
        if (at != op)
            continue;
        if (before)
            before->next = op->next;
        else
            list->first = op->next;
        if (list->last == op)
            list->last = before;
        return true;
    }
    return false;
}

#endif
