# SPDX-License-Identifier: MIT
"""Planted bugs of the engine, the planner, the buffers, the loops and the local files."""
from mutant import Mutant, Test, sim


def on_uring(name):
    """A suite for all loops, on one of them."""
    return Test(name, {"LSIO_TEST_LOOP": "uring"})


MUTANTS = [
    # -------------------------------------------------------------------- completions, callbacks --
    Mutant(
        name="completion-lost",
        file="engine/worker.c",
        old="    deque_push(&worker->ready, operation);\n",
        new="    if (worker->completions % 64)\n        deque_push(&worker->ready, operation);\n",
        why="now and then a read ends and nobody is told: the batch never completes",
        tests=(sim(300),),
    ),
    Mutant(
        name="completion-taken-twice",
        file="base/deque.h",
        old="            item = NULL;\n        atomic_store",
        new="            (void)0;\n        atomic_store",
        why="owner and thief both take the last completed read: its chunks are reported twice",
        tests=(Test("unit.deque", {"LSIO_TEST_SECONDS": "1"}),),
        hangs=True,
    ),
    Mutant(
        name="callback-twice",
        file="engine/start.c",
        old="        members_fail(worker, slab, plan, status);\n        return START_OK;\n    }\n"
            "    result = planned_start",
        new="        members_fail(worker, slab, plan, status);\n    }\n    result = planned_start",
        why="chunks of a canceled batch that had not begun are reported canceled, and read as well",
        tests=(sim(300),),
    ),
    Mutant(
        name="fold-counted-twice",
        file="engine/finish.c",
        old="    worker->fold = (struct fold){0};\n    worker_publish",
        new="    worker->fold = (struct fold){.batch = batch, .done = fold.done == 7};\n"
            "    worker_publish",
        why="a chunk is counted again: the batch is said to be done while reads are running",
        tests=(sim(300),),
    ),
    Mutant(
        name="foreign-chain-run",
        file="chain/chain.h",
        old="chain_context(chain) == context",
        new="context",
        why="a chain runs on more workers than it has room for the state of",
        tests=(Test("api.chains_belong_to_their_context"),),
    ),
    # --------------------------------------------------------------------------- memory of reads --
    Mutant(
        name="buffer-reused-too-early",
        file="engine/worker.c",
        old="        operation->read.object->store->driver->cancel(&worker->env, "
            "&operation->read);\n",
        new="        operation->read.object->store->driver->cancel(&worker->env, "
            "&operation->read);\n"
            "        if (operation->buffer) {\n"
            "            env_bounce_put(&worker->env, operation->buffer, "
            "operation->buffer_bytes);\n"
            "            operation->buffer = NULL;\n"
            "        }\n",
        why="another read gets a canceled read's buffer, into which the kernel still writes",
        tests=(sim(8000),),
    ),
    Mutant(
        name="buffer-given-to-two",
        file="buffer/arena.c",
        old="        arena->cached[count] = arena->next[page];\n",
        new="",
        why="two reads in flight share one buffer",
        tests=(Test("unit.arena"),),
    ),
    Mutant(
        name="join-freed-before-last-member",
        file="engine/finish.c",
        old="        chunk_deliver(worker, operation->segment, index, bytes, length, NULL);\n    "
            "}\n",
        new="        if (i + 1 == operation->plan->count && operation->buffer && "
            "!operation->in_arena) {\n"
            "            pool_give(worker, operation->buffer, operation->buffer_bytes);\n"
            "            operation->buffer = NULL;\n"
            "        }\n"
            "        chunk_deliver(worker, operation->segment, index, bytes, length, NULL);\n    "
            "}\n",
        why="the last chunk of a joined read is decoded from memory that is another read's by then",
        tests=(sim(8000),),
    ),
    Mutant(
        name="stolen-buffer-kept-by-thief",
        file="engine/start.c",
        old="    if (operation->home == worker) {\n",
        new="    if (operation->home == worker || operation->in_arena) {\n",
        why="a stolen read's registered buffer goes to the arena of the thief, whose ring it is "
            "not",
        tests=(sim(300),),
    ),
    Mutant(
        name="buffer-index-of-another-worker",
        file="engine/finish.c",
        old="        operation->home != worker ||\n",
        new="",
        why="a thief goes on with a probe in its own ring, and its buffer comes home elsewhere",
        tests=(sim(1000),),
    ),
    Mutant(
        name="unjoin-leaks-budget",
        file="engine/finish.c",
        old="    worker->env.retries++;\n    operation_release(worker, operation);\n",
        new="    worker->env.retries++;\n"
            "    if (!operation->in_arena)\n        operation->buffer = NULL;\n"
            "    operation_release(worker, operation);\n",
        why="each joined read that fails makes the memory budget smaller, until nothing can be "
            "read",
        tests=(sim(1000),),
    ),
    Mutant(
        name="lane-waiter-not-woken",
        file="engine/context.c",
        old="        context->lane_owner = 0;\n        pthread_cond_signal(&context->lane_cond);\n",
        new="        context->lane_owner = 0;\n",
        why="a chain that waits for the oversize lane waits for ever when the lane is given back",
        tests=(sim(8000),),
    ),
    Mutant(
        name="part-overwrites-neighbor",
        file="engine/start.c",
        old="    return split->padded && (begin == 0 || "
            "(split->offset + begin) % DIRECT_ALIGN == 0) &&\n"
            "           (end == split->bytes || (split->offset + end) % DIRECT_ALIGN == 0);\n",
        new="    return split->padded && end;\n",
        why="a part of a long read overwrites the rest of its pages, which other parts have "
            "read",
        tests=(sim(8000),),
    ),
    # ----------------------------------------------------------------------- claims and planning --
    Mutant(
        name="claim-resumed-empty",
        file="engine/claim.c",
        old="            if (!ended) {\n",
        new="            if (claim.slab) {\n",
        why="a claim that was put aside at its end is taken up: an operation that is not there "
            "runs",
        tests=(sim(8000),),
    ),
    Mutant(
        name="resumed-blocks-parts",
        file="engine/worker.c",
        old="            if (!claim_is_parts(worker) && !claim_parts(worker)) {\n",
        new="            {\n",
        why="whole files waiting for memory keep back the parts that hold it: nothing goes on",
        tests=(sim(12000),),
    ),
    Mutant(
        name="coalesce-one-byte-short",
        file="plan/coalesce.c",
        old="        span = group->end - group->start;\n",
        new="        span = group->end - group->start - (group->count > 2);\n",
        why="the last byte of joined reads is whatever was in the buffer",
        tests=(Test("unit.plan_coalesce"), sim(300)),
    ),
    Mutant(
        name="coalesce-vector-one-too-long",
        file="plan/coalesce.c",
        old="group->count == PLAN_VECTOR_MAX)",
        new="group->count > PLAN_VECTOR_MAX)",
        why="a vectored read has one member more than its list has room for",
        tests=(Test("unit.plan_coalesce"),),
    ),
    Mutant(
        name="slab-not-referenced",
        file="engine/start.c",
        old="    atomic_fetch_add_explicit(&slab->refs, 1, memory_order_relaxed);\n"
            "    operation->slab = slab;\n",
        new="    operation->slab = slab;\n",
        why="the plan of a joined read is used for another slab while the read is on its way",
        tests=(sim(300),),
    ),
    Mutant(
        name="store-limit-leaks",
        file="engine/start.c",
        old="(&store->inflight, &now, now + 1))\n",
        new="(&store->inflight, &now, now + 2))\n",
        why="with each read the store's limit gets smaller, until nothing is read from it",
        tests=(sim(30),),
        hangs=True,
    ),
    Mutant(
        name="opening-begun-too-early",
        file="driver/local/file.c",
        old="status == -ECANCELED || waiter->object != read->object ? LOCAL_RESTART",
        new="status == -ECANCELED ? LOCAL_RESTART",
        why="a batch gets the file that another's opening found before the name got a new one",
        tests=(Test("unit.local_read"),),
    ),
    # ----------------------------------------------------------------------------- park and wake --
    Mutant(
        name="free-place-not-told",
        file="engine/worker.c",
        old="        starved_wake(worker->context);\n",
        new="",
        why="who waits for a place in a store's limit learns late that one is free",
        tests=(Test("sim.turns"),),
    ),
    Mutant(
        name="callbacks-submit-for-ever",
        file="engine/context.c",
        old="    context->ending = true;",
        new="    context->ending = false;",
        why="a callback that submits the next batch keeps its context from being destroyed",
        tests=(on_uring("api.destroy_while_running"),),
        hangs=True,
    ),
    Mutant(
        name="wake-lost-between-search-and-park",
        file="engine/worker.c",
        old="           atomic_load(&context->work_epoch) != worker->seen_epoch;\n",
        new="           false;\n",
        why="a batch submitted while the only idle worker goes to sleep waits for the next one",
        tests=(sim(2000),),
    ),
    Mutant(
        name="message-without-wake",
        file="engine/worker.c",
        old="    if (!queue_is_empty(&worker->mailbox) || atomic_load(&worker->cancel_scan) ||",
        new="    if (atomic_load(&worker->cancel_scan) ||",
        why="a message that comes while its worker goes to sleep is not read: something waits for "
            "ever",
        tests=(sim(2000),),
    ),
    Mutant(
        name="uring-wake-forgotten",
        file="loop/uring_complete.c",
        old="            loop->woken = true;\n",
        new="            loop->woken = false;\n",
        why="a wake that reap() met is forgotten: the worker sleeps although there is work",
        tests=(on_uring("contract.loop"),),
        hangs=True,
    ),
    # ------------------------------------------------------------------------------ fair shares --
    Mutant(
        name="thief-forgets-victim",
        file="engine/worker.c",
        old="    for (uint32_t i = 0; i < context->worker_count; i++) {\n"
            "        struct worker *victim =\n",
        new="    for (uint32_t i = 1; i < context->worker_count; i++) {\n"
            "        struct worker *victim =\n",
        why="a thief never comes again to whom it has stolen from: the others' chains run alone",
        tests=(Test("sim.turns"),),
    ),
    Mutant(
        name="nobody-woken-for-long-chains",
        file="engine/worker.c",
        old="        if (count == 1 || (count & 15) == 0 || worker->chain_ns > ENGINE_SLICE_NS / 16) {\n",
        new="        if ((count & 15) == 0) {\n",
        why="a worker with long chains to run says so late, and runs most of them itself",
        tests=(Test("sim.turns"),),
    ),
    Mutant(
        name="end-waits-for-other-batch",
        file="engine/finish.c",
        old="        if (worker->fold.batch && worker->fold.batch != segment->batch)\n",
        new="        if (worker->fold.batch && !segment->batch)\n",
        why="a batch whose chains have run is done only when another batch's chain has",
        tests=(Test("sim.turns"),),
    ),
    # ----------------------------------------------------------------- joins, member by member --
    Mutant(
        name="early-member-twice",
        file="engine/finish.c",
        old="        if (i >= operation->delivered)\n",
        new="        if (i + 1 >= operation->delivered)\n",
        why="a member that was delivered while its join was read is delivered once more at its end",
        tests=(Test("fault.http_joins"),),
        hangs=True,
    ),
    Mutant(
        name="early-members-before-all-else",
        file="engine/advance.c",
        old="    } while (operation && worker->env.os->now_ns() - begin_ns < ENGINE_SLICE_NS);\n",
        new="    } while (operation && begin_ns);\n",
        why="a worker runs the members of all its joins before it looks at a new batch",
        tests=(Test("sim.advance"),),
    ),
    Mutant(
        name="early-member-before-its-bytes",
        file="engine/advance.c",
        old="    if (need == 0 || need > read->ready_bytes) {\n",
        new="    if (need == 0 || !read->ready_bytes) {\n",
        why="a member is delivered when the first bytes of its join have come",
        tests=(Test("fault.http_joins"),),
        hangs=True,
    ),
    Mutant(
        name="early-member-read-again",
        file="engine/finish.c",
        old="    uint32_t first = operation->delivered, count = operation->plan->count - first;\n",
        new="    uint32_t first = 0, count = operation->plan->count;\n",
        why="when the rest of a join fails, members that have ended are read and delivered again",
        tests=(Test("fault.http_joins"),),
        hangs=True,
    ),
    # --------------------------------------------------------- cancel, deadlines, end of a batch --
    Mutant(
        name="steal-from-canceled-batch",
        file="engine/worker.c",
        old="        worker->steal_next = victim->index;\n",
        new="        worker->steal_next = victim->index;\n"
            "        if (operation->segment->batch->record.cancel_status) {\n"
            "            operation_release(worker, operation);\n"
            "            return true;\n"
            "        }\n",
        why="a stolen read of a canceled batch is dropped: the batch never ends",
        tests=(sim(1000),),
    ),
    Mutant(
        name="chains-run-after-cancel",
        file="engine/finish.c",
        old="chain_forbidden(worker, segment->batch, chain, &why)) != 0) {\n",
        new="chain_forbidden(worker, segment->batch, chain, &why)) > 0) {\n",
        why="a canceled batch goes on with the chains of all that was read",
        tests=(Test("api.cancel"), Test("fault.cancel_matrix")),
    ),
    Mutant(
        name="cancel-stops-at-the-engine",
        file="engine/worker.c",
        old="        operation->read.object->store->driver->cancel(&worker->env, "
            "&operation->read);\n",
        new="",
        why="canceling a batch waits for reads that hang, for as long as they hang",
        tests=(Test("fault.cancel_matrix"), sim(2000)),
        hangs=True,
    ),
    Mutant(
        name="canceled-in-backlog-lost",
        file="loop/uring.c",
        old="        op->loop_flags = OP_CANCELED | OP_DONE;\n        op_list_append(&loop->ready, "
            "op);\n",
        new="        op->loop_flags = OP_CANCELED | OP_DONE;\n",
        why="a read that is canceled before the ring had room for it never ends",
        tests=(on_uring("contract.loop_cancel"),),
        hangs=True,
    ),
    Mutant(
        name="earlier-deadline-lost",
        file="engine/submit.c",
        old="    sooner = batch->deadline_ns < deadline;\n",
        new="    sooner = batch->deadline_ns < deadline && deadline == UINT64_MAX;\n",
        why="a batch with an earlier deadline than a running one's ends only at the later of them",
        tests=(Test("api.deadline"), sim(2000)),
    ),
    Mutant(
        name="destroyed-batch-used",
        file="engine/submit.c",
        old="        batch_free(batch, false);\n    else\n        record_done(&batch->record);\n",
        new="        batch_free(batch, false);\n    record_done(&batch->record);\n",
        why="a batch that a callback has destroyed is used by its last worker after it was freed",
        tests=(sim(300),),
    ),
    Mutant(
        name="store-users-dropped-early",
        file="engine/submit.c",
        old="    _Atomic(void *) *allocated = atomic_load(&segment->allocated);\n\n"
            "    for (size_t i = 0; segment->objects && !forked",
        new="    _Atomic(void *) *allocated = atomic_load(&segment->allocated);\n\n"
            "    for (size_t i = 0; segment->objects && !forked && i < segment->view.object_count; "
            "i++) {\n"
            "        if (segment->objects[i].counts_store)\n"
            "            atomic_fetch_sub(&segment->objects[i].store->users, 1);\n"
            "        segment->objects[i].counts_store = false;\n"
            "    }\n"
            "    for (size_t i = 0; segment->objects && !forked",
        why="a store can be closed while a batch that ends still gives its files back to it",
        tests=(Test("sim.model"),),
    ),
    # ------------------------------------------------------------------------------- local files --
    Mutant(
        name="eio-swallowed",
        file="driver/local/read.c",
        old="    local_read_finish(env, read, (int)result, text);\n",
        new="    local_read_finish(env, read, result == -EIO ? 0 : (int)result, text);\n",
        why="what a broken device did not read is delivered as if it had been",
        tests=(Test("unit.local_read"), sim(300)),
    ),
    Mutant(
        name="short-read-is-complete",
        file="driver/local/read.c",
        old="    if (LIKELY((uint64_t)op->result == read->bytes - read->progress)) {\n",
        new="    if (LIKELY(op->result > 0)) {\n",
        why="a read that brought only a part is reported as the whole",
        tests=(Test("unit.local_read"), sim(300)),
    ),
    Mutant(
        name="change-not-seen",
        file="driver/local/object.c",
        old="        return cache->os->stat_fd(file->fd, &now) == 0 && !local_stat_same(&now, "
            "&file->stat);\n",
        new="        return cache->os->stat_fd(file->fd, &now) == 0 && now.size < "
            "file->stat.size;\n",
        why="a file that is written while it is read gives bytes of two versions, and status 0",
        tests=(Test("api.a_changed_file_is_noticed"), sim(1000)),
    ),
    Mutant(
        name="etag-compared-in-part",
        file="driver/local/file_cache.c",
        old="        if (strcmp(etag, object->etag) != 0) {\n",
        new="        if (strncmp(etag, object->etag, 4) != 0) {\n",
        why="an object that is not the one the caller has named is read as if it were",
        tests=(Test("unit.local_read"),),
    ),
    Mutant(
        name="part-failure-ignored",
        file="engine/finish.c",
        old="    if (read->status < 0 && atomic_compare_exchange_strong(&split->status, &none, "
            "read->status)) {\n",
        new="    if (read->status == -ENOENT &&\n"
            "        atomic_compare_exchange_strong(&split->status, &none, read->status)) {\n",
        why="a long chunk of which one part failed is delivered with a hole",
        tests=(sim(1000),),
    ),
    Mutant(
        name="slot-reused-before-close",
        file="loop/uring_complete.c",
        old="    const uint8_t all = OP_SAW_OPEN | OP_SAW_READ | OP_SAW_CLOSE;\n",
        new="    const uint8_t all = OP_SAW_OPEN | OP_SAW_READ;\n",
        why="a whole-file read gets the slot of a file that is not closed yet, and reads that",
        tests=(on_uring("contract.loop_files"),),
        hangs=True,
    ),
    Mutant(
        name="direct-memory-unaligned",
        file="driver/local/direct.c",
        old="        align = stat->direct_memory_align > stat->direct_offset_align ?",
        new="        align = stat->direct_memory_align < stat->direct_offset_align ?",
        why="O_DIRECT reads are refused by devices that want memory or offsets better aligned",
        tests=(Test("unit.local_direct"),),
    ),
    Mutant(
        name="direct-bounce-misplaced",
        file="driver/local/direct.c",
        old="(const uint8_t *)read->bounce + (want - op->offset), got);\n",
        new="(const uint8_t *)read->bounce, got);\n",
        why="ranges that do not begin on a block are delivered shifted by some bytes",
        tests=(Test("unit.local_direct"), sim(300)),
    ),
    # ------------------------------------------------------------------------------- weak memory --
    Mutant(
        name="deque-push-unordered",
        file="base/deque.h",
        old="    atomic_store_explicit(&deque->bottom, bottom + 1, memory_order_release);\n",
        new="    atomic_store_explicit(&deque->bottom, bottom + 1, memory_order_relaxed);\n",
        why="on processors with weak ordering a thief takes a read whose result is not written yet",
        tests=(Test("unit.deque"),),
        sanitizer="thread",
    ),
]
