# SPDX-License-Identifier: MIT
"""Planted bugs of the HTTP family: transfers, reads, versions, hosts, listings, the use of curl."""
from mutant import Mutant, Test

MUTANTS = [
    # ------------------------------------------------------------------------- ranges and bodies --
    Mutant(
        name="http-resumed-from-wrong-byte",
        file="driver/http/read.c",
        old="    return r->read->offset + r->got;\n}\n\n/* A probe that",
        new="    return r->read->offset + (r->got ? r->got - 1 : 0);\n}\n\n/* A probe that",
        why="the rest of a body that broke off begins one byte too early",
        tests=(Test("unit.http_transfer"),),
    ),
    Mutant(
        name="http-other-range-taken",
        file="driver/http/read.c",
        old="head->range_first != first || head->range_last > last || head->range_last < first)\n"
            "        return refuse(r, \"wrong range\", head);\n"
            "    bytes = head->range_last - first + 1;\n",
        new="head->range_last - head->range_first > last - first)\n"
            "        return refuse(r, \"wrong range\", head);\n"
            "    bytes = head->range_last - head->range_first + 1;\n",
        why="a server or cache that sends another range has its bytes delivered as those asked for",
        tests=(Test("fault.http_bodies"),),
    ),
    Mutant(
        name="http-slice-not-skipped",
        file="driver/http/read.c",
        old="    r->skip = first;\n    r->expect",
        new="    r->skip = 0;\n    r->expect",
        why="of a server without ranges the object's beginning is delivered for any range",
        tests=(Test("fault.http_bodies"),),
    ),
    Mutant(
        name="http-encoded-body-delivered",
        file="driver/http/read.c",
        old="    default:\n        return head->encoding == HTTP_ENCODING_IDENTITY;\n",
        new="    default:\n        return true;\n",
        why="a body that a proxy has compressed is delivered as the object's bytes",
        tests=(Test("fault.http_bodies"),),
    ),
    Mutant(
        name="http-early-end-is-complete",
        file="driver/http/transport_curl.c",
        old="    default: /* receiving, sending, too little body, broken framing */\n"
            "        return TRANSPORT_RESET;\n",
        new="    case CURLE_PARTIAL_FILE:\n        return TRANSPORT_OK;\n"
            "    default: /* receiving, sending, too little body, broken framing */\n"
            "        return TRANSPORT_RESET;\n",
        why="a body that broke off counts as a wrong answer: a network that fails twice fails the "
            "read",
        tests=(Test("fault.http_bodies"),),
    ),
    Mutant(
        name="http-checksum-not-compared",
        file="driver/http/read.c",
        old="    if (!status && r->checksum.kind)\n        status = body_verify(r);\n",
        new="",
        why="a body that was damaged on the way is delivered though verify_checksums is set",
        tests=(Test("fault.http_checksums"),),
    ),
    Mutant(
        name="http-checksum-of-another-range",
        file="driver/http/checksum.c",
        old="first == 0 &&\n           count == http_head_object_size(head);",
        new="first == 0 &&\n           count <= http_head_object_size(head);",
        why="with verify_checksums the beginning of an object is refused as damaged",
        tests=(Test("fault.http_checksums"), Test("unit.http_checksum")),
    ),
    # ---------------------------------------------------------------------------------- versions --
    Mutant(
        name="http-part-without-validator",
        file="driver/http/read.c",
        old="version && version->etag_strong ? version->etag : object->etag, *value;",
        new="object->etag, *value;",
        why="later parts are asked for without If-Match: old and new bytes are sent all the same",
        tests=(Test("fault.http_changes"),),
    ),
    Mutant(
        name="http-versions-not-compared",
        file="driver/http/version.c",
        old="        return strcmp(a->etag, b->etag) == 0;\n",
        new="        return true;\n",
        why="an object that changes while it is read is delivered as a mixture",
        tests=(Test("fault.http_changes"),),
    ),
    # ----------------------------------------------------------------------------- other servers --
    Mutant(
        name="http-credentials-to-another-host",
        file="driver/http/transfer.c",
        old="    if (status || t->foreign)\n",
        new="    if (status)\n",
        why="a redirect to another server gets a request signed with the user's credentials",
        tests=(Test("fault.http_redirects"),),
    ),
    Mutant(
        name="http-tls-given-up-by-redirect",
        file="driver/http/redirect.c",
        old='    if (scheme == 0 || (scheme == 7 && strcmp(request->scheme, "https") == 0))\n',
        new="    if (scheme == 0)\n",
        why="a redirect from https to http is followed, and all can read what is read",
        tests=(Test("fault.http_redirects"),),
    ),
    Mutant(
        name="http-any-host-name-trusted",
        file="driver/http/curl_setup.c",
        old="trust->insecure ? 0L : 2L",
        new="trust->insecure ? 0L : 0L",
        why="any server with any good certificate is taken for the one that was asked for",
        tests=(Test("fault.http_tls"),),
    ),
    Mutant(
        name="http-region-not-signed-for",
        file="driver/http/dialect.c",
        old="    http_region_in_use(store, region);\n    input.region = region;\n",
        new="    http_region_in_use(store, region);\n"
            "    input.region = address->region[0] ? address->region : region;\n",
        why="a bucket whose region the server has named is refused for ever",
        tests=(Test("fault.http_redirects"),),
    ),
    Mutant(
        name="http-clock-corrected-backwards",
        file="driver/http/dialect.c",
        old="    input.unix_s = (uint64_t)((int64_t)time(NULL) + taught.clock_offset_s);\n",
        new="    input.unix_s = (uint64_t)((int64_t)time(NULL) - taught.clock_offset_s);\n",
        why="on a machine whose clock is wrong every signed request is refused",
        tests=(Test("fault.http_status"),),
    ),
    # ----------------------------------------------------------------------------------- retries --
    Mutant(
        name="http-retry-storm",
        file="driver/http/transfer_end.c",
        old="        !http_host_retry(t->store->host)) {\n",
        new="        t->store->host->retry_tokens > UINT32_MAX / 2) {\n",
        why="a server that fails is asked by every read as often as that may try: a storm",
        tests=(Test("fault.http_status"),),
    ),
    Mutant(
        name="http-retry-after-ignored",
        file="driver/http/transfer_end.c",
        old="    if (wait_ms)\n        pause =",
        new="    if (wait_ms == 1)\n        pause =",
        why="a server that asks for a pause is asked again at once, and throttles for longer",
        tests=(Test("unit.http_transfer"),),
    ),
    Mutant(
        name="http-idle-close-is-a-failure",
        file="driver/http/transfer_end.c",
        old="        t->attempts--;\n        transfer_go(t);\n",
        new="        transfer_finish(t, status);\n",
        why="after a pause the first read fails, for the server has closed the idle connection",
        tests=(Test("unit.http_transfer"),),
    ),
    Mutant(
        name="http-stall-not-seen",
        file="driver/http/transfer.c",
        old="    t->quiet_ns += tick_ns;\n",
        new="    t->quiet_ns += t->owner ? 0 : tick_ns;\n",
        why="a server that stops in the middle of a body holds the read for ever",
        tests=(Test("unit.http_transfer"),),
        hangs=True,
    ),
    # ---------------------------------------------------------------------------------- absences --
    Mutant(
        name="http-missing-bucket-is-absence",
        file="driver/http/judge.c",
        old="    else if (*code)\n        set(out, HTTP_FAIL, LSIO_E_HTTP);\n",
        new="    else if (*code)\n        set(out, HTTP_FAIL, -ENOENT);\n",
        why="with a wrong bucket name an array reads as nothing but fill values",
        tests=(Test("unit.http_judge"), Test("fault.http_status")),
    ),
    Mutant(
        name="http-unknown-code-is-absence",
        file="driver/http/judge.c",
        old="    else if (*code)\n",
        new="    else if (*code && !judge->answered)\n",
        why="a 404 of a server's own kind, once it has answered, reads as fill values",
        tests=(Test("unit.http_judge"), Test("fault.http_status")),
    ),
    Mutant(
        name="http-no-credentials-is-absence",
        file="driver/http/transfer.c",
        old="    default:\n        return -EACCES;\n",
        new="    default:\n        return status;\n",
        why="with a wrong profile or a lost token file an array reads as nothing but fill values",
        tests=(Test("fault.http_no_credentials"),),
    ),
    Mutant(
        name="http-denied-is-absence",
        file="driver/http/judge.c",
        old="    else if (judge->missing_on_403 && (!*code",
        new="    else if ((!*code",
        why="without permission an array reads as nothing but fill values",
        tests=(Test("unit.http_judge"), Test("fault.http_status")),
    ),
    # ------------------------------------------------------------------------ hedges and permits --
    Mutant(
        name="http-hedge-writes-too",
        file="driver/http/transfer.c",
        old="    if (t->owner || (!good && other_may_win(t, wire)))\n",
        new="    if (!good && other_may_win(t, wire))\n",
        why="both requests of a race write to the destination, and both count their bytes",
        tests=(Test("unit.http_transfer"), Test("fault.http_stall")),
    ),
    Mutant(
        name="http-both-let-go",
        file="driver/http/transfer.c",
        old="    return other->running && !other->let_go;\n",
        new="    return other->running;\n",
        why="two answers of a race that are both errors let each other go: nobody says what it was",
        tests=(Test("unit.http_transfer"),),
    ),
    Mutant(
        name="http-permit-leaks",
        file="driver/http/transfer.c",
        old="    if (wire == &t->wires[1])\n        http_host_release(",
        new="    if (wire == &t->wires[1] && t->owner != wire)\n        http_host_release(",
        why="each race that the second request wins leaves one request less to the server, at last "
            "none",
        tests=(Test("unit.http_transfer"),),
    ),
    Mutant(
        name="http-queue-loses-its-end",
        file="driver/http/host.c",
        old="        if (host->last == at)\n            host->last = before;\n",
        new="",
        why="a canceled read that waited for its turn takes those behind it with it: they never "
            "end",
        tests=(Test("unit.http_host"),),
    ),
    Mutant(
        name="http-limit-above-ceiling",
        file="driver/http/host.c",
        old="    if (host->limit < host->ceiling && (host->successes >= host->limit ||",
        new="    if (host->limit && (host->successes >= host->limit ||",
        why="more connections are used than connections_max allows",
        tests=(Test("unit.http_host"),),
    ),
    Mutant(
        name="http-sleep-outlasts-cancel",
        file="driver/http/transfer.c",
        old="        env->loop_ops->cancel(env->loop, &t->timer);\n",
        new="",
        why="canceling a read that pauses takes as long as the pause, up to a minute",
        tests=(Test("unit.http_transfer"),),
        hangs=True,
    ),
    # --------------------------------------------------------------------- listings, connections --
    Mutant(
        name="http-first-page-only",
        file="driver/http/list.c",
        old="    } while (!status && xml_list_token(page->list));\n",
        new="    } while (!status && !xml_list_token(page->list) && page->feed_status);\n",
        why="a listing is the first thousand entries, and nothing says that there are more",
        tests=(Test("fault.http_list"),),
    ),
    Mutant(
        name="http-child-ends-parents-connections",
        file="driver/http/transport_curl.c",
        old="    if (forked) { /*",
        new="    if (forked && !transport->multi) { /*",
        why="a child process that exits says good-bye on the connections of its parent",
        tests=(Test("fault.http_tls"),),
    ),
    Mutant(
        name="http-poll-not-renewed",
        file="driver/http/curl_socket.c",
        old="        socket->acting = false;\n    }\n    socket_update(socket);\n",
        new="        socket->acting = false;\n    }\n    if (socket->gone)\n        "
            "socket_update(socket);\n",
        why="nobody looks at a connection any more after its first readiness: the read hangs",
        tests=(Test("fault.http_bodies"),),
        hangs=True,
    ),
]
